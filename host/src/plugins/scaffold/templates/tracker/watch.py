"""When a loss stops falling. Nothing here knows of WebAssembly."""


class Watch:
    """The best evaluation so far as (loss, step), and how many came after it."""

    def __init__(self, patience: int):
        self.patience = patience
        self.best: tuple[float, int] | None = None
        self.since = 0

    def event(self, event: dict) -> bool:
        """Takes one event; whether the loss has now not fallen for `patience` evaluations."""
        loss = event.get("metrics", {}).get("loss")
        # Events that it does not know must not disturb it: later versions have more of them.
        if event.get("event") != "evaluation" or loss is None:
            return False
        if self.best is None or loss < self.best[0]:
            self.best, self.since = (loss, event.get("step", 0)), 0
            return False
        self.since += 1
        return self.since == self.patience
