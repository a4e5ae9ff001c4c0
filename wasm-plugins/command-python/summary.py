"""What records have in common. Nothing here knows of WebAssembly."""

import json
from collections.abc import Iterable


class BadLine(ValueError):
    """A line that is no JSON object; `line` counts from 1."""

    def __init__(self, line: int, why: str):
        super().__init__(line, why)
        self.line = line
        self.why = why


class Field:
    """The values of one field."""

    def __init__(self):
        self.count = 0
        self.types: dict[str, int] = {}
        self.sizes: list[float] = []

    def add(self, value) -> None:
        self.count += 1
        name, size = describe(value)
        self.types[name] = self.types.get(name, 0) + 1
        if size is not None:
            if not self.sizes:
                self.sizes = [size, size, 0.0]
            self.sizes[0] = min(self.sizes[0], size)
            self.sizes[1] = max(self.sizes[1], size)
            self.sizes[2] += size

    def row(self, name: str, records: int) -> list[str]:
        types = ", ".join(sorted(self.types, key=lambda name: (-self.types[name], name)))
        missing = records - self.count
        sized = self.count - self.types.get("null", 0) - self.types.get("boolean", 0)
        if not self.sizes:
            return [name, types, str(missing), "", "", ""]
        least, most, total = self.sizes
        return [name, types, str(missing), f"{least:g}", f"{total / sized:.4g}", f"{most:g}"]


def describe(value) -> tuple[str, float | None]:
    """The JSON type of a value, and its size: a number itself, characters of a text, entries of a list or an object."""
    if value is None:
        return "null", None
    if isinstance(value, bool):
        return "boolean", None
    if isinstance(value, int | float):
        return "number", value
    if isinstance(value, str):
        return "text", len(value)
    return ("list" if isinstance(value, list) else "object"), len(value)


def summary(lines: Iterable[str], most: int | None = None) -> str:
    """A table with a line for each field, in the order in which they first appear."""
    fields: dict[str, Field] = {}
    records = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if records == most:
            break
        try:
            record = json.loads(line)
        except ValueError as error:
            raise BadLine(number, str(error)) from None
        if not isinstance(record, dict):
            raise BadLine(number, "it is no object")
        records += 1
        for name, value in record.items():
            fields.setdefault(name, Field()).add(value)
    rows = [["field", "types", "missing", "least", "mean", "most"]]
    rows += [field.row(name, records) for name, field in fields.items()]
    widths = [max(map(len, column)) for column in zip(*rows)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([f"{records} records", *table]) + "\n"
