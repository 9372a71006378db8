"""A shard's data file as shard/pages_priv.h describes it, to break it on purpose: a page is changed in
place and all checksums above it, up to the superblocks, are made to fit again."""
import struct

PAGE, HEADER, FANOUT = 8192, 32, 1020
BLOCK_MASK = (1 << 40) - 1

_table = []
for _n in range(256):
    for _ in range(8):
        _n = (_n >> 1) ^ (0x82F63B78 if _n & 1 else 0)
    _table.append(_n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


class Shard:
    def __init__(self, path):
        self.path = path
        self.data = bytearray(path.read_bytes())
        supers = [self.data[i * 4096 : i * 4096 + 4096] for i in range(4)]
        valid = [s for s in supers if struct.unpack_from("<I", s)[0] == crc32c(s[4:])]
        self.super = max(valid, key=lambda s: struct.unpack_from("<Q", s, 16)[0])
        self.dir_root, self.dir_pages = (struct.unpack_from("<Q", self.super, 40)[0],
                                         struct.unpack_from("<I", self.super, 64)[0])

    def save(self):
        self.path.write_bytes(self.data)

    def at(self, entry):
        return (entry & BLOCK_MASK) * PAGE

    def seal(self, entry):
        """The entry that a block has after a change."""
        at = self.at(entry)
        crc = crc32c(self.data[at + 4 : at + PAGE])
        struct.pack_into("<I", self.data, at, crc)
        return entry & BLOCK_MASK | (crc & 0xFFFFFF) << 40

    def path_to(self, root, pages, page_no):
        """Positions of the entries from the root's child down to the page's own."""
        levels, count = 0, pages
        while count > FANOUT:
            count = -(-count // FANOUT)
            levels += 1
        found, entry = [], root
        for level in range(levels, -1, -1):
            index = page_no // FANOUT**level % FANOUT
            position = self.at(entry) + HEADER + index * 8
            found.append((entry, position))
            entry = struct.unpack_from("<Q", self.data, position)[0]
        return found, entry

    def files(self):
        """file id -> (directory page, position of its entry)"""
        found = {}
        for page in range(self.dir_pages):
            _, entry = self.path_to(self.dir_root, self.dir_pages, page)
            for i in range(255):
                position = self.at(entry) + HEADER + i * 32
                file, _, pages, kind = struct.unpack_from("<QQIH", self.data, position)
                if kind:
                    found[file] = (page, position, pages)
        return found

    def page(self, file, page_no):
        """Position of a page's bytes, or None when it was never written."""
        _, position, pages = self.files()[file]
        root = struct.unpack_from("<Q", self.data, position + 8)[0]
        if page_no >= pages or not root:
            return None
        _, entry = self.path_to(root, pages, page_no)
        return self.at(entry) if entry else None

    def reseal(self, file, page_no, with_page=True):
        """After a change of the page's bytes (or of the entry that leads to it)."""
        dir_page, position, pages = self.files()[file]
        root = struct.unpack_from("<Q", self.data, position + 8)[0]
        steps, entry = self.path_to(root, pages, page_no)
        struct.pack_into("<Q", self.data, position + 8,
                         self._climb(steps, self.seal(entry) if with_page else entry))
        steps, entry = self.path_to(self.dir_root, self.dir_pages, dir_page)
        self.dir_root = self._climb(steps, self.seal(entry))
        struct.pack_into("<Q", self.super, 40, self.dir_root)
        struct.pack_into("<I", self.super, 0, crc32c(self.super[4:]))
        for i in range(4):
            self.data[i * 4096 : i * 4096 + 4096] = self.super

    def _climb(self, steps, entry):
        for node, position in reversed(steps):
            struct.pack_into("<Q", self.data, position, entry)
            entry = self.seal(node)
        return entry

    def cells(self, file):
        """(page number, slot, position of the cell, length) of a heap."""
        for page_no in range(self.files()[file][2]):
            at = self.page(file, page_no)
            if at is None:
                continue
            for slot in range(struct.unpack_from("<H", self.data, at + 32)[0]):
                offset, length = struct.unpack_from("<HH", self.data, at + 40 + slot * 4)
                if offset:
                    yield page_no, slot, at + offset, length
