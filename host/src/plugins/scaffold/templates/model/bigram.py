"""Counts of pairs of ids, and the probabilities that follow from them: a token is predicted from the one before it. Nothing here
knows of WebAssembly."""

import math
from collections.abc import Sequence

# The label of a place that does not count.
IGNORED = -100


class UnknownId(Exception):
    pass


class TooLong(Exception):
    pass


class Counts:
    """How often each id came after each other."""

    def __init__(self, vocab_size: int, sequence_length: int, smoothing: float):
        self.vocab_size = vocab_size
        self.sequence_length = sequence_length
        self.smoothing = smoothing
        self.after: dict[int, dict[int, int]] = {}
        self.totals: dict[int, int] = {}

    def empty(self) -> "Counts":
        return Counts(self.vocab_size, self.sequence_length, self.smoothing)

    def check(self, ids: Sequence[int], read: int = 0) -> None:
        if read + len(ids) > self.sequence_length:
            raise TooLong(f"a sequence has {read + len(ids)} tokens, and {self.sequence_length} are the most")
        for id in ids:
            if not 0 <= id < self.vocab_size:
                raise UnknownId(f"id {id} is not in the vocabulary of {self.vocab_size}")

    def targets(self, ids: Sequence[int], labels: Sequence[int]) -> list[tuple[int, int]]:
        """Every id that counts, behind the one before it."""
        self.check(ids)
        pairs = [(before, label) for before, label in zip(ids, labels[1:]) if label != IGNORED]
        self.check([label for _, label in pairs])
        return pairs

    def add(self, before: int, id: int, times: int) -> None:
        row = self.after.setdefault(before, {})
        row[id] = row.get(id, 0) + times
        self.totals[before] = self.totals.get(before, 0) + times

    def merge(self, other: "Counts") -> None:
        for before, row in other.after.items():
            for id, times in row.items():
                self.add(before, id, times)

    def distinct(self) -> int:
        """How many different pairs were counted."""
        return sum(map(len, self.after.values()))

    def norm(self) -> float:
        """The Euclidean norm of the counts."""
        return math.sqrt(sum(times * times for row in self.after.values() for times in row.values()))

    def score(self, before: int, id: int) -> float:
        """The natural logarithm of a probability."""
        count = self.after.get(before, {}).get(id, 0)
        total = self.totals.get(before, 0) + self.smoothing * self.vocab_size
        return math.log((count + self.smoothing) / total)

    def rank(self, before: int, id: int) -> int:
        """How many ids are likelier than this one."""
        row = self.after.get(before, {})
        return sum(times > row.get(id, 0) for times in row.values())

    def to_text(self) -> str:
        """One line a pair: the id before, the id, how often."""
        pairs = sorted((before, id, times) for before, row in self.after.items() for id, times in row.items())
        return "".join(f"{before} {id} {times}\n" for before, id, times in pairs)

    @classmethod
    def from_text(cls, text: str, **settings) -> "Counts":
        """What `to_text` wrote."""
        counts = cls(**settings)
        for line in text.splitlines():
            before, id, times = map(int, line.split())
            counts.check([before, id])
            counts.add(before, id, times)
        return counts
