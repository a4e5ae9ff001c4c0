"""The arithmetic of `surprise`, the same in Rust and C: all sums in the order of the targets, so that every language gives
the same bits. Nothing here knows of WebAssembly."""

import math
import struct

# Bytes of a state: two counters and two sums, each 8 bytes, little-endian.
STATE = struct.Struct("<QQdd")

# A target with a greater log-probability was expected: more likely than all others together.
EXPECTED = -math.log(2.0)


class NotANumber(ValueError):
    """A log-probability that is not a number; `at` is its place, `count` how many there are."""

    def __init__(self, at: int, count: int):
        super().__init__(at, count)
        self.at = at
        self.count = count


class Surprise:
    """What was seen so far."""

    def __init__(self):
        self.targets = 0
        self.confident = 0
        self.sum = 0.0
        self.max = -math.inf

    def update(self, packed: bytes) -> None:
        """Adds targets by their natural-log probabilities, packed as 4 bytes each; adds none if one is no number."""
        scores = memoryview(packed).cast("f")
        confident, total, greatest = self.confident, self.sum, self.max
        # `sum` keeps what rounding drops since Python 3.12, so it would give other bits than the other languages.
        for at, score in enumerate(scores):
            if score != score:
                raise NotANumber(at, len(scores))
            if score > EXPECTED:
                confident += 1
            total += -score
            if -score > greatest:
                greatest = -score
        self.targets += len(scores)
        self.confident, self.sum, self.max = confident, total, greatest

    def scores(self) -> tuple[float, float, float]:
        """Mean and greatest surprise in nats, and the share of expected targets; NaN without any target."""
        if self.targets == 0:
            return math.nan, math.nan, math.nan
        return self.sum / self.targets, self.max, self.confident / self.targets

    def state(self) -> bytes:
        """Everything that was seen."""
        return STATE.pack(self.targets, self.confident, self.sum, self.max)

    def merge(self, state: bytes) -> None:
        """Adds what another instance saw; `struct.error` for bytes of another length."""
        targets, confident, total, greatest = STATE.unpack(state)
        self.targets += targets
        self.confident += confident
        self.sum += total
        if greatest > self.max:
            self.max = greatest
