"""How often something is a surprise. Nothing here knows of WebAssembly."""

import math
import struct
from collections.abc import Sequence

STATE = struct.Struct("<QQ")


class Rate:
    def __init__(self, bound: float):
        self.bound = math.log(bound)
        self.surprises = 0
        self.tokens = 0

    def update(self, scores: Sequence[float]) -> None:
        """Counts log-probabilities."""
        self.surprises += sum(score < self.bound for score in scores)
        self.tokens += len(scores)

    def state(self) -> bytes:
        """Everything counted so far: two halves of the data, merged, must give what the whole gives."""
        return STATE.pack(self.surprises, self.tokens)

    def merge(self, state: bytes) -> None:
        if len(state) != STATE.size:
            raise ValueError(f"a state of {len(state)} bytes where {STATE.size} are due")
        surprises, tokens = STATE.unpack(state)
        self.surprises += surprises
        self.tokens += tokens

    def value(self) -> float:
        return self.surprises / self.tokens if self.tokens else math.nan
