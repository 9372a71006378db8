/*
 * What a log tells of the other logs. Bits that turn in the last write of a log cannot be told from
 * a torn tail by that log alone (wal/reader.c): replay would end a moment earlier, while the other
 * shards keep what was built on the lost part. So a record on which others may rely is preceded by
 * an ANCHOR when the settled positions of other logs (settled.c) have grown since this log told of
 * them. What the record depends on was settled before it was appended, so the anchor covers it, and
 * whoever reads the record has read the anchor. At the start each log must reach as far as the
 * others say (cut.c), and to where a COMMIT that counts as settled here has its PREPARE (a mark in
 * a later COMMIT spares recovery the look at it, so the mark is taken before the anchor); a log
 * that nobody speaks of may end earlier, for nothing anywhere depends on what it lost.
 *
 * Such records: COMMIT, PREPARE, FORGET, HOLD. Each growth of one log is told once in each other
 * one, so that the cost is bound by writes, not by commits.
 *
 * ANCHOR: for each log that has grown u32 shard, u64 lsn. Checkpoints hold the highest ones.
 */
#include "shard/shard_priv.h"

enum { POSITION_BYTES = 12 };
_Static_assert(SHARD_COUNT_MAX *POSITION_BYTES <= WAL_RECORD_BYTES_MAX, "all fit one record");

uint32_t anchor_bytes_max(void)
{
    return shard_count() > 1 ? shard_count() * POSITION_BYTES : 0;
}

void anchors_init(struct shard *s)
{
    s->anchors = core_zalloc(shard_count() * sizeof(*s->anchors));
    s->anchor_bytes = core_malloc(anchor_bytes_max() + 1u);
}

void anchors_destroy(struct shard *s)
{
    core_free(s->anchors);
    core_free(s->anchor_bytes);
}

void anchor_log(struct shard *s)
{
    uint32_t len = 0;
    for (uint32_t i = 0; i < shard_count(); i++) {
        lsn_t settled = MAX(settled_elsewhere(i), s->settled.met[i]);
        if (i == s->number || settled <= s->anchors[i])
            continue;
        s->anchors[i] = settled;
        store_u32(s->anchor_bytes + len, i);
        store_u64(s->anchor_bytes + len + 4, settled);
        len += POSITION_BYTES;
    }
    struct log_writer none = {.len = 0};
    if (len != 0)
        (void)shard_log(s, LOG_ANCHOR, &none, s->anchor_bytes, len);
}

bool anchor_read(struct shard *s, struct byte_reader *r)
{
    while (r->at != r->end) {
        uint32_t shard_no = read_u32(r);
        lsn_t lsn = read_u64(r);
        if (r->is_bad || shard_no >= shard_count())
            return false;
        s->anchors[shard_no] = MAX(s->anchors[shard_no], lsn);
    }
    return true;
}

void anchors_write(const struct shard *s, struct byte_writer *w)
{
    write_u32(w, shard_count());
    for (uint32_t i = 0; i < shard_count(); i++)
        write_u64(w,
                  MAX(s->anchors[i], s->settled.newest[i])); /* it waits till these are settled */
}

bool anchors_read(struct shard *s, struct byte_reader *r)
{
    uint32_t count = read_u32(r);
    if (r->is_bad || count != shard_count())
        return false;
    for (uint32_t i = 0; i < count; i++)
        s->anchors[i] = read_u64(r);
    return !r->is_bad;
}
