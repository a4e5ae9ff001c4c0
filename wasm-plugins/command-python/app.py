"""The command `jsonl-summary`: shows the fields of a JSON Lines file before one trains on it.

The folder that the user granted as `data` is there as `/data`, so Python's own `open` reads it. The summary itself is made
in `summary.py`."""

import json
import os

from componentize_py_types import Err
from summary import BadLine, summary
from wit_world import exports
from wit_world.imports import terminal
from wit_world.imports.types import Error, ErrorKind


class Command(exports.Command):
    def create(self, name: str, config: str) -> None:
        pass

    def run(self, arguments: str) -> int:
        given = json.loads(arguments)
        path, most = given["file"], given.get("records")
        if most is not None and most < 0:
            raise Err(Error(ErrorKind.CONFIG, f"--records is {most}, it must be 0 or more", None, []))
        try:
            with open(f"/data/{path}", encoding="utf-8") as lines:
                text = summary(lines, most)
        except BadLine as error:
            message = f"line {error.line} of data/{path} is no record: {error.why}"
            raise Err(Error(ErrorKind.DATA, message, "each line must be one JSON object", [])) from None
        except UnicodeDecodeError:
            raise Err(Error(ErrorKind.DATA, f"data/{path} is not UTF-8", None, [])) from None
        except OSError as error:
            message = f"cannot read data/{path}: {error.strerror or error}"
            if os.path.isdir("/data"):
                raise Err(Error(ErrorKind.DATA, message, None, [])) from None
            hint = "codex-ml plugin grant command-jsonl-summary --folder data=PATH"
            raise Err(Error(ErrorKind.DENIED, message, hint, [])) from None
        terminal.print(text)
        return 0
