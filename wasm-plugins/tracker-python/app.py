"""The tracker `markdown`: a page about each run in the folder that the user granted as `reports`.

The page is written anew after each evaluation and at the end, whole, so that a reader never sees half of one. It is made in
`report.py`; here is what crosses the border."""

import json

from componentize_py_types import Err
from report import Report, file_name
from wit_world import exports
from wit_world.imports import files
from wit_world.imports.types import Error, ErrorKind, RunInfo

MOST = 16 << 20

# Every component has an instance of its own, so global variables are its state and nobody else's.
every = 100
report: Report | None = None


def path() -> str:
    return f"reports/{file_name(report.name)}"


def earlier() -> str | None:
    """The page that an earlier process of this run wrote, if there is one."""
    name = file_name(report.name)
    if any(entry.name == name for entry in files.entries("reports")):
        return files.read(path(), 0, MOST).decode("utf-8", "replace")
    return None


def write() -> None:
    files.write(path(), report.page().encode("utf-8"))


def started() -> Report:
    if report is None:
        raise Err(Error(ErrorKind.FAILED, "events came before the run started", None, []))
    return report


class Tracker(exports.Tracker):
    def create(self, name: str, config: str) -> None:
        global every
        every = json.loads(config).get("every", every)

    def start(self, run: RunInfo) -> None:
        global report
        report = Report(run.name, run.folder, every)
        if run.resumed and (page := earlier()) is not None:
            report.continued(page)
        write()

    def events(self, ndjson: str) -> None:
        try:
            started().add(ndjson)
        except ValueError as error:
            raise Err(Error(ErrorKind.DATA, f"an event is not JSON: {error}", None, [])) from None
        if report.changed:
            write()

    def finish(self) -> None:
        started()
        write()
