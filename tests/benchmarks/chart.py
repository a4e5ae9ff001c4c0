"""Two plots of what a training step costs, as one SVG: against the length of a sequence and against the width."""

import math

INK, GRID, TIME, MEMORY = "#30343c", "#d8dbe0", "#2b6cb0", "#c05621"
WIDTH, HEIGHT, LEFT, TOP = 360, 240, 62, 44
TITLES = {"length": "one sequence of T tokens, 6×384", "width": "8×128 tokens, 6 layers"}
AXES = {"length": "T", "width": "width"}


def scaling(rows):
    """`rows` maps `length` and `width` to points with size, seconds and activations in bytes."""
    panels = [(name, points) for name, points in rows.items() if points]
    total = len(panels) * (WIDTH + 2 * LEFT)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{HEIGHT + TOP + 60}" font-family="sans-serif" font-size="12" fill="{INK}">',
             '<rect width="100%" height="100%" fill="#ffffff"/>']  # fmt: skip
    for at, (name, points) in enumerate(panels):
        parts += panel(at * (WIDTH + 2 * LEFT) + LEFT, name, points)
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(x, name, points):
    """One plot: milliseconds on the left, megabytes on the right, each line through its points and from 0."""
    sizes = [point["size"] for point in points]
    lines = [("ms a step", TIME, [point["seconds"] * 1e3 for point in points]),
             ("MB of activations", MEMORY, [max(point["activations"], 0) / 1e6 for point in points])]  # fmt: skip
    right = lambda size: x + WIDTH * size / max(sizes)
    parts = [f'<text x="{x + WIDTH / 2}" y="16" text-anchor="middle" font-weight="bold">{TITLES[name]}</text>']
    for size in sizes:
        parts.append(f'<line x1="{right(size):.1f}" x2="{right(size):.1f}" y1="{TOP}" y2="{TOP + HEIGHT}" stroke="{GRID}"/>')
        # Small, so that 128 and 256 stand apart where the axis ends at 2,048.
        parts.append(f'<text x="{right(size):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle" font-size="10">{size}</text>')
    parts.append(f'<text x="{x + WIDTH / 2}" y="{TOP + HEIGHT + 40}" text-anchor="middle">{AXES[name]}</text>')
    for side, (label, colour, values) in enumerate(lines):
        top = 4 * round_up(max(values) * 1.02 / 4)
        up = lambda value: TOP + HEIGHT * (1 - value / top)
        edge, anchor = (x - 6, "end") if side == 0 else (x + WIDTH + 6, "start")
        for tick in range(5):
            value = top * tick / 4
            if side == 0:
                parts.append(f'<line x1="{x}" x2="{x + WIDTH}" y1="{up(value):.1f}" y2="{up(value):.1f}" stroke="{GRID}"/>')
            parts.append(f'<text x="{edge}" y="{up(value) + 4:.1f}" text-anchor="{anchor}" fill="{colour}">{value:,.0f}</text>')
        corner, inwards = (x, "start") if side == 0 else (x + WIDTH, "end")
        parts.append(f'<text x="{corner}" y="{TOP - 8}" text-anchor="{inwards}" fill="{colour}">{label}</text>')
        way = " ".join(f"{right(size):.1f},{up(value):.1f}" for size, value in zip(sizes, values))
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{right(size):.1f}" cy="{up(value):.1f}" r="3" fill="{colour}"/>' for size, value in zip(sizes, values)]
    return parts


def round_up(value):
    """The next larger number that is short to write: 1, 1.5, 2, 2.5, 3, 4, 5, 6 or 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(digit * power for digit in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if digit * power >= value)
