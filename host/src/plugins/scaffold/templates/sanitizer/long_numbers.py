"""Long numbers in texts. Nothing here knows of WebAssembly."""

import re

# Longer runs are found in pieces of this many bytes.
LONGEST = 64


def runs(text: bytes, shortest: int) -> list[tuple[int, int]]:
    """Where runs of at least `shortest` digits are, in bytes. Digits are one byte each, so these are borders of characters."""
    return [found.span() for found in re.finditer(rb"[0-9]{%d,%d}" % (shortest, LONGEST), text)]
