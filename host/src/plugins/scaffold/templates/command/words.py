"""Words and how often they come. Nothing here knows of WebAssembly."""

from collections import Counter


class Words:
    def __init__(self):
        self.counts: Counter[str] = Counter()

    def add(self, text: str) -> None:
        self.counts.update(word.lower() for word in text.split())

    def report(self, top: int) -> str:
        """A line for each of the most frequent words; of equally frequent ones the first in the alphabet."""
        words = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return "".join(f"{count:>6}  {word}\n" for word, count in words[: max(top, 0)])
