"""The command `{{name}}`: the most frequent words of a file.

Its arguments stand in `plugin.toml`, so help, checks and completion never run this code. It reads nothing itself: it asks the
host for the dataset `files`, which knows text, JSON Lines, CSV and Parquet. Both that and printing need a permission. What
crosses the border is here; the counting is in `words.py`."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import components, host, terminal
from wit_world.imports.types import Error, ErrorKind
from words import Words


class Command(exports.Command):
    def create(self, name: str, config: str) -> None:
        pass

    def run(self, arguments: str) -> int:
        """The arguments were checked against `plugin.toml`, and their defaults are filled in."""
        given = json.loads(arguments)
        dataset = components.create_dataset("files", json.dumps({"path": given["path"]}))
        name = dataset.info().text_column or "text"
        words, row = Words(), 0
        while True:
            if host.interrupted():
                raise Err(Error(ErrorKind.INTERRUPTED, "interrupted", None, []))
            texts = next(column.values.value for column in dataset.read(row, 1000) if column.name == name)
            # Texts lie one behind the other, with packed offsets between them.
            offsets = memoryview(texts.offsets).cast("Q")
            if len(offsets) < 2:
                break
            row += len(offsets) - 1
            for start, end in zip(offsets, offsets[1:]):
                words.add(texts.bytes[start:end].decode())
        terminal.print(words.report(given["top"]))
        return 0
