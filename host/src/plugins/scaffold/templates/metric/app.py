"""The metric `{{name}}`: how often the model gives the right token less chance than `bound`.

What crosses the border is here; the counting is in `rate.py`. Every component has an instance of its own, so a global variable
is its state and nobody else's."""

import json

from componentize_py_types import Err
from rate import Rate
from wit_world import exports
from wit_world.imports.types import Direction, Error, ErrorKind, MetricNeeds, Samples, Score

rate = Rate(bound=0.01)


class Metric(exports.Metric):
    def create(self, name: str, config: str) -> None:
        """The configuration was checked against `plugin.toml`, and its defaults are filled in."""
        global rate
        rate = Rate(**json.loads(config))

    def needs(self) -> MetricNeeds:
        """What the host shall compute; what no metric asks for is not computed."""
        return MetricNeeds.LOG_PROBABILITIES

    def update(self, samples: Samples) -> None:
        rate.update(memoryview(samples.log_probabilities).cast("f"))

    def state(self) -> bytes:
        return rate.state()

    def merge(self, state: bytes) -> None:
        try:
            rate.merge(state)
        except ValueError as error:
            raise Err(Error(ErrorKind.DATA, str(error), None, [])) from None

    def compute(self) -> list[Score]:
        return [Score("{{snake}}", rate.value(), Direction.LOWER)]
