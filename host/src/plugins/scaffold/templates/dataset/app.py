"""The dataset `{{name}}`: sums of two numbers, `3 + 4 = 7`, made when they are read.

What crosses the border is here; the sums are in `sums.py`. Every component has an instance of its own, so a global variable is
its state and nobody else's."""

import json
import math
import struct

from sums import text
from wit_world import exports
from wit_world.imports.types import (
    Column,
    ColumnValues_F64,
    ColumnValues_Text,
    DatasetInfo,
    Field,
    FieldType,
    Texts,
)

settings = {"rows": 0, "below": 1}


class Dataset(exports.Dataset):
    def create(self, name: str, config: str) -> None:
        """The configuration was checked against `plugin.toml`, and its defaults are filled in."""
        settings.update(json.loads(config))

    def info(self) -> DatasetInfo:
        return DatasetInfo(
            fields=[Field("text", FieldType.TEXT), Field("log_probability", FieldType.F64)],
            rows=settings["rows"],
            # Equal fingerprints promise equal rows: change the number when the rows change.
            fingerprint=f"{{name}}-1-{settings['rows']}-{settings['below']}",
            text_column="text",
            log_probability_column="log_probability",
        )

    def read(self, start: int, count: int) -> list[Column]:
        rows = range(start, min(start + count, settings["rows"]))
        texts = [text(row, settings["below"]).encode() for row in rows]
        offsets = [0]
        for encoded in texts:
            offsets.append(offsets[-1] + len(encoded))
        # Both numbers are drawn uniformly, so how likely each text is is known, and reports show the entropy floor.
        score = -2.0 * math.log(settings["below"])
        # Numbers cross packed: little-endian, one behind the other.
        packed = Texts(b"".join(texts), struct.pack(f"<{len(offsets)}Q", *offsets))
        scores = struct.pack(f"<{len(texts)}d", *[score] * len(texts))
        return [
            Column("text", ColumnValues_Text(packed), None),
            Column("log_probability", ColumnValues_F64(scores), None),
        ]
