"""Sums of two numbers. Nothing here knows of WebAssembly."""

MASK = (1 << 64) - 1


def text(row: int, below: int) -> str:
    """A row's text: a function of its place, so that any row can be read first."""
    z = (row + 1) * 0x9E3779B97F4A7C15 & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z ^= z >> 27
    a, b = (z & 0xFFFFFFFF) % below, (z >> 32) % below
    return f"{a} + {b} = {a + b}"
