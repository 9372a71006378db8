"""Plots as SVG, nothing but text: bars in groups, stacked areas over time, flame graphs."""
from xml.sax.saxutils import escape

COLOURS = ["#4878a8", "#e49444", "#55a868", "#c44e52", "#8172b2", "#937860", "#da8bc3", "#8c8c8c", "#ccb974", "#64b5cd"]
FONT = 'font-family="sans-serif" font-size="11"'


def text(x, y, words, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {FONT} {more}>{escape(str(words))}</text>'


def rect(x, y, width, height, colour, title="", more=""):
    tip = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" fill="{colour}" {more}>{tip}</rect>'


def document(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
            + rect(0, 0, width, height, "#ffffff") + "\n" + "\n".join(parts) + "\n</svg>\n")


def number(v):
    return f"{v:,.0f}" if v >= 100 else f"{v:.1f}" if v >= 1 else f"{v:.2f}"


def bars(title, groups, series, values, unit):
    """Horizontal bars: values[group][serie] or None; each group on a scale of its own."""
    height_each, left, width = 14, 230, 820
    y, parts = 46, [text(10, 18, title, more='font-weight="bold"')]
    for i, s in enumerate(series):
        parts += [rect(10 + i * 130, 26, 10, 10, COLOURS[i]), text(24 + i * 130, 35, s)]
    for group in groups:
        top = max((v for v in values[group].values() if v is not None), default=0) or 1
        parts.append(text(left - 8, y + height_each * len(series) / 2 + 4, group, "end"))
        for i, s in enumerate(series):
            v = values[group].get(s)
            if v is not None:
                long = (width - left - 110) * v / top
                parts += [rect(left, y, long, height_each - 2, COLOURS[i], f"{group}, {s}: {number(v)} {unit}"),
                          text(left + long + 4, y + 10, f"{number(v)} {unit}")]
            else:
                parts.append(text(left + 4, y + 10, "not possible", more='fill="#999999"'))
            y += height_each
        y += 8
    return document(width, y + 10, parts)


def areas(title, times, series, values, unit):
    """Stacked areas over time: values[serie] is a list as long as times."""
    left, top, wide, high = 70, 46, 700, 260
    parts = [text(10, 18, title, more='font-weight="bold"')]
    totals = [sum(values[s][i] for s in series) for i in range(len(times))]
    peak, span = max(totals, default=0) or 1, (times[-1] - times[0]) or 1
    below = [0.0] * len(times)
    for k, s in enumerate(series):
        above = [b + v for b, v in zip(below, values[s])]
        x = [left + wide * (t - times[0]) / span for t in times]
        edge = [f"{a:.1f},{top + high - high * v / peak:.1f}" for a, v in zip(x, above)]
        back = [f"{a:.1f},{top + high - high * v / peak:.1f}" for a, v in zip(x, below)]
        parts.append(f'<polygon points="{" ".join(edge + back[::-1])}" fill="{COLOURS[k % len(COLOURS)]}">'
                     f"<title>{escape(s)}</title></polygon>")
        parts += [rect(left + wide + 12, top + 16 * k, 10, 10, COLOURS[k % len(COLOURS)]),
                  text(left + wide + 26, top + 9 + 16 * k, s)]
        below = above
    for part in (0, 0.5, 1):
        parts.append(text(left - 6, top + high - high * part + 4, f"{number(peak * part)} {unit}", "end"))
    parts += [text(left, top + high + 16, "0 s"), text(left + wide, top + high + 16, f"{span:.0f} s", "end")]
    return document(left + wide + 110, top + high + 30, parts)


def flames(title, stacks):
    """stacks: {(frame, frame, ...): samples}, outermost frame first."""
    root = {"samples": 0, "children": {}}
    for frames, samples in stacks.items():
        node = root
        node["samples"] += samples
        for frame in frames:
            node = node["children"].setdefault(frame, {"samples": 0, "children": {}})
            node["samples"] += samples
    width, row, total, drawn, deepest = 1200, 16, root["samples"] or 1, [], 0

    def draw(node, x, depth):
        nonlocal deepest
        deepest = max(deepest, depth)
        for name, child in sorted(node["children"].items()):
            wide = width * child["samples"] / total
            if wide >= 0.4:
                drawn.append((x, depth, wide, name, child["samples"]))
                draw(child, x, depth + 1)
            x += wide

    draw(root, 0, 0)
    high = 40 + row * (deepest + 1)
    parts = [text(10, 18, f"{title}: {total} samples", more='font-weight="bold"')]
    for x, depth, wide, name, samples in drawn:
        hue = sum(map(ord, name)) % 40
        y = high - row * (depth + 1)
        parts.append(rect(x, y, wide - 0.3, row - 1, f"hsl({10 + hue},75%,{60 + hue % 15}%)",
                          f"{name}: {samples} samples, {samples / total:.1%}"))
        if wide > 40:
            parts.append(text(x + 2, y + 11, name[: int(wide / 6.5)], more='pointer-events="none"'))
    return document(width, high, parts)
