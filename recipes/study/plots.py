"""Line and bar plots as SVG text, with the spread over seeds drawn in."""

import math
from xml.sax.saxutils import escape

COLOURS = ("#0b5fa5", "#b3541e", "#2a7f3f", "#7a3e9d", "#8a6d00", "#b02a4c", "#3f7f8c", "#555555", "#c27ba0", "#111111")
LEFT, TOP, WIDTH, HEIGHT, LEGEND = 62, 44, 430, 260, 320


def _ticks(low, high):
    """About five round numbers from low to high."""
    raw = (high - low) / 5 or 1.0
    unit = 10**math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _frame(title, y_name, low, high, body, height=TOP + HEIGHT + 60):
    """Axes around what is drawn in plot coordinates."""
    grid = []
    for tick in _ticks(low, high):
        y = TOP + HEIGHT * (1 - (tick - low) / (high - low))
        grid.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + WIDTH}" y2="{y:.1f}" stroke="#ddd"/>'
                    f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + LEGEND}" height="{height}" '
            f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>\n'
            f'<text x="10" y="18" font-weight="bold">{escape(title)}</text>'
            f'<text x="10" y="34" fill="#555">{escape(y_name)}</text>\n' + "\n".join(grid) + "\n" + body + "\n</svg>\n")


def _legend(names):
    return "\n".join(
        f'<rect x="{LEFT + WIDTH + 16}" y="{TOP + 18 * i}" width="10" height="10" fill="{COLOURS[i % len(COLOURS)]}"/>'
        f'<text x="{LEFT + WIDTH + 32}" y="{TOP + 9 + 18 * i}">{escape(name)}</text>' for i, name in enumerate(names))


def _range(samples, floor=None):
    low = min(sample.least for sample in samples)
    high = max(sample.most for sample in samples)
    if floor is not None:
        low = min(low, floor)
    margin = 0.05 * (high - low) or 0.5
    return (low if low == floor else low - margin), high + margin


def _bar_of_spread(x, sample, y):
    if len(sample.values) < 2:
        return ""
    return f'<line x1="{x:.1f}" y1="{y(sample.least):.1f}" x2="{x:.1f}" y2="{y(sample.most):.1f}" stroke="#333"/>'


def lines(title, y_name, x_names, series):
    """series: {name: [Sample or None for each x]}; x in equal steps."""
    known = [sample for row in series.values() for sample in row if sample]
    low, high = _range(known)
    step = WIDTH / max(1, len(x_names) - 1)

    def y(value):
        return TOP + HEIGHT * (1 - (value - low) / (high - low))

    parts = [
        f'<text x="{LEFT + i * step:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{escape(str(name))}</text>'
        for i, name in enumerate(x_names)
    ]
    for number, row in enumerate(series.values()):
        colour = COLOURS[number % len(COLOURS)]
        at = [(LEFT + i * step, sample) for i, sample in enumerate(row) if sample]
        path = " ".join(f"{x:.1f},{y(sample.mean):.1f}" for x, sample in at)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            _bar_of_spread(x, sample, y) + f'<circle cx="{x:.1f}" cy="{y(sample.mean):.1f}" r="3" fill="{colour}"/>'
            for x, sample in at
        ]
    return _frame(title, y_name, low, high, "\n".join(parts) + "\n" + _legend(series))


def bars(title, y_name, groups, series):
    """series: {name: [Sample or None for each group]}; bars stand on zero."""
    known = [sample for row in series.values() for sample in row if sample]
    low, high = _range(known, floor=0.0)
    place = WIDTH / len(groups)
    width = 0.8 * place / len(series)

    def y(value):
        return TOP + HEIGHT * (1 - (value - low) / (high - low))

    parts = [
        f'<text x="{LEFT + (i + 0.5) * place:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">'
        f"{escape(str(name))}</text>"
        for i, name in enumerate(groups)
    ]
    for number, row in enumerate(series.values()):
        colour = COLOURS[number % len(COLOURS)]
        for i, sample in enumerate(row):
            if not sample:
                continue
            x = LEFT + i * place + 0.1 * place + number * width
            top, bottom = min(y(sample.mean), y(0)), max(y(sample.mean), y(0))
            parts.append(
                f'<rect x="{x:.1f}" y="{top:.1f}" width="{width * 0.9:.1f}" height="{bottom - top:.1f}" '
                f'fill="{colour}"/>'
                + _bar_of_spread(x + width * 0.45, sample, y))
    return _frame(title, y_name, low, high, "\n".join(parts) + "\n" + _legend(series))
