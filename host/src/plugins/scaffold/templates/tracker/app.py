"""The tracker `{{name}}`: warns when the loss has not fallen for some evaluations.

What crosses the border is here; the watching is in `watch.py`. Every component has an instance of its own, so a global variable
is its state and nobody else's."""

import json

from watch import Watch
from wit_world import exports
from wit_world.imports import host
from wit_world.imports.host import LogLevel
from wit_world.imports.types import RunInfo

patience = 3
watch = Watch(patience)


class Tracker(exports.Tracker):
    def create(self, name: str, config: str) -> None:
        """The configuration was checked against `plugin.toml`, and its defaults are filled in."""
        global patience
        patience = json.loads(config)["patience"]

    def start(self, run: RunInfo) -> None:
        global watch
        watch = Watch(patience)

    def events(self, ndjson: str) -> None:
        """The lines of the run's `events.ndjson`, one JSON object each."""
        for line in ndjson.splitlines():
            if watch.event(json.loads(line)):
                loss, step = watch.best
                message = f"the loss has not fallen for {watch.since} evaluations: {loss:.4f} at step {step}"
                host.log(LogLevel.WARNING, message)

    def finish(self) -> None:
        if watch.best:
            loss, step = watch.best
            host.log(LogLevel.INFO, f"the best loss was {loss:.4f} at step {step}")
