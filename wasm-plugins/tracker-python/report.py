"""A page about a run, made from its events. Nothing here knows of WebAssembly.

A run that is taken up again is told only what is new, so the rows of its earlier part are read back from the page. Rows are
kept by step: events that come twice because the run was killed between two checkpoints change nothing."""

import json

LOSSES = "## Losses"
EVALUATIONS = "## Evaluations"


def cell(value) -> str:
    """A value of an event as a cell: numbers with six digits, nothing where there is none."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


class Table:
    """Rows by step; columns in the order in which they first came."""

    def __init__(self, title: str):
        self.title = title
        self.columns: list[str] = []
        self.rows: dict[int, dict[str, str]] = {}

    def add(self, step: int, values: dict) -> None:
        for name in values:
            if name not in self.columns:
                self.columns.append(name)
        self.rows[step] = {name: cell(value) for name, value in values.items()}

    def lines(self) -> list[str]:
        if not self.rows:
            return []
        names = ["step", *self.columns]
        lines = ["", self.title, "", f"| {' | '.join(names)} |", "|" + " ---: |" * len(names)]
        for step in sorted(self.rows):
            cells = [str(step), *(self.rows[step].get(name, "") for name in self.columns)]
            lines.append(f"| {' | '.join(cells)} |")
        return lines

    def read(self, page: list[str]) -> None:
        """Takes over the rows of a page that [`lines`] wrote."""
        if self.title not in page:
            return
        at = page.index(self.title) + 2
        names = [name.strip() for name in page[at].strip("|").split("|")][1:]
        for line in page[at + 2 :]:
            if not line.startswith("|"):
                break
            step, *cells = [text.strip() for text in line.strip("|").split("|")]
            self.add(int(step), {})
            self.rows[int(step)] = dict(zip(names, cells))
        self.columns = names


class Report:
    """Everything that a page says."""

    def __init__(self, name: str, folder: str, every: int):
        self.name = name
        self.folder = folder
        self.every = every
        self.losses = Table(LOSSES)
        self.evaluations = Table(EVALUATIONS)
        self.status = "running"
        self.warnings: list[str] = []
        self.changed = False

    def continued(self, page: str) -> None:
        """Takes over what an earlier process wrote."""
        lines = page.splitlines()
        self.losses.read(lines)
        self.evaluations.read(lines)

    def add(self, ndjson: str) -> None:
        """Adds events; those of a kind that this page does not show are left out."""
        for line in ndjson.splitlines():
            event = json.loads(line)
            kind, step = event.get("event"), event.get("step")
            if kind == "step" and step % self.every == 0:
                names = ("loss", "learning_rate", "grad_norm", "tokens_per_second")
                self.losses.add(step, {name: event.get(name) for name in names})
            elif kind == "evaluation":
                self.evaluations.add(step, event.get("metrics", {}))
                self.changed = True
            elif kind == "warning":
                self.warnings.append(cell(event.get("message", "a warning without words")))
            elif kind == "run_finished":
                self.status = f"{event.get('status')} after {event.get('steps')} steps"

    def page(self) -> str:
        """The whole page in Markdown."""
        self.changed = False
        lines = [f"# {self.name}", "", f"- status: {self.status}", f"- folder: `{self.folder}`"]
        lines += [f"- warning: {text}" for text in self.warnings]
        lines += [*self.evaluations.lines(), *self.losses.lines()]
        return "\n".join(lines) + "\n"


def file_name(run: str) -> str:
    """A run's name as a file: its parts joined, because runs of a sweep have names with slashes."""
    kept = "".join(c if c.isalnum() or c in "._-" else "-" for c in run).strip(".")
    return f"{kept or 'run'}.md"
