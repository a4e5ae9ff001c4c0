"""The sanitizer `{{name}}`: finds long numbers, as accounts and cards have. It only finds; the host decides and redacts.

What crosses the border is here; the search is in `long_numbers.py`. Every component has an instance of its own, so a global variable
is its state and nobody else's."""

import json

from long_numbers import LONGEST, runs
from wit_world import exports
from wit_world.imports.types import Finding, Rule, Severity, Stage, Texts

shortest = 8


class Sanitizer(exports.Sanitizer):
    def create(self, name: str, config: str) -> None:
        """The configuration was checked against `plugin.toml`, and its defaults are filled in."""
        global shortest
        shortest = json.loads(config)["shortest"]

    def rules(self) -> list[Rule]:
        description = f"{shortest} digits or more in a row"
        return [Rule("long-number", "account-number", Severity.MEDIUM, description)]

    def max_span(self) -> int:
        """No finding is longer than this many bytes."""
        return LONGEST

    def scan(self, texts: Texts, stage: Stage) -> list[Finding]:
        """The texts are UTF-8, one behind the other, with packed offsets between them."""
        offsets = memoryview(texts.offsets).cast("Q")
        findings = []
        for number, (start, end) in enumerate(zip(offsets, offsets[1:])):
            for first, last in runs(texts.bytes[start:end], shortest):
                findings.append(Finding(first, last, text=number, rule=0, confidence=0.5))
        return findings
