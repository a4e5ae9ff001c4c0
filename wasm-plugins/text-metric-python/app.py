"""The metric `surprise-python`: how surprised a model is by what it reads.

The same metric is written in Rust (`text-metric-rust`) and in C (`text-metric-c`); the three give the same scores to the
last bit. Here is what crosses the border; the arithmetic is in `surprise.py`. The module `wit_world` is made from the WIT by
`codex-ml plugin build`. A call fails by raising `Err` with an `Error` of the WIT."""

from componentize_py_types import Err
from surprise import STATE, NotANumber, Surprise
from wit_world import exports
from wit_world.imports.types import Direction, Error, ErrorKind, MetricNeeds, Samples, Score


def bad_data(message: str, hint: str | None = None) -> Err:
    return Err(Error(ErrorKind.DATA, message, hint, []))


# Every component has an instance of its own, so a global variable is its state and nobody else's.
metric = Surprise()


class Metric(exports.Metric):
    def create(self, name: str, config: str) -> None:
        pass

    def needs(self) -> MetricNeeds:
        return MetricNeeds.LOG_PROBABILITIES

    def update(self, samples: Samples) -> None:
        packed = samples.log_probabilities
        if len(packed) % 4 != 0:
            raise bad_data(f"log-probabilities has {len(packed)} bytes, which is no multiple of 4")
        try:
            metric.update(packed)
        except NotANumber as error:
            raise bad_data(
                f"log-probability {error.at} of {error.count} is not a number",
                "the model's weights may have diverged: lower training.learning_rate",
            ) from None

    def state(self) -> bytes:
        return metric.state()

    def merge(self, state: bytes) -> None:
        if len(state) != STATE.size:
            raise bad_data(f"a metric state of {len(state)} bytes where {STATE.size} are due")
        metric.merge(state)

    def compute(self) -> list[Score]:
        mean, greatest, confident = metric.scores()
        return [
            Score("surprise_mean", mean, Direction.LOWER),
            Score("surprise_max", greatest, Direction.LOWER),
            Score("confident_share", confident, Direction.HIGHER),
        ]
