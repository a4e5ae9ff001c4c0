"""The checks of a run and what became of each: passed, failed, or skipped with the reason."""

import time
import traceback


class Failed(Exception):
    """A check that did not hold; its text says what was found."""


class Skip(Exception):
    """A check that could not be made; its text says why."""


class Table:
    """Runs checks one after the other, and remembers."""

    def __init__(self, only):
        self.only = only
        self.rows = []

    def check(self, name, function, *arguments):
        """Runs one check; what it gives back is the note beside `passed`."""
        if self.only and not any(word in name for word in self.only):
            return
        begun = time.time()
        try:
            row = ("passed", function(*arguments) or "")
        except Skip as why:
            row = ("SKIPPED", str(why))
        except Failed as why:
            row = ("FAILED", str(why))
        except Exception as error:
            traceback.print_exc()
            row = ("FAILED", f"{type(error).__name__}: {error}")
        self.rows.append((name, *row))
        print(f"{row[0]:8} {name} ({time.time() - begun:.1f} s) {row[1]}", flush=True)

    def finish(self):
        """Prints the table; gives the exit code."""
        width = max((len(name) for name, _, _ in self.rows), default=0)
        print()
        for name, state, note in self.rows:
            first = note.splitlines()[0] if note else ""
            print(f"{name:{width}}  {state:8} {first}")
        count = {state: sum(row[1] == state for row in self.rows) for state in ("passed", "FAILED", "SKIPPED")}
        print(f"\n{count['passed']} passed, {count['FAILED']} failed, {count['SKIPPED']} skipped")
        return 1 if count["FAILED"] or not self.rows else 0


def close(what, ours, theirs, bound):
    """The largest difference, relative to the largest value of theirs or 1; more than `bound` fails."""
    import numpy

    ours, theirs = numpy.asarray(ours, dtype=numpy.float64), numpy.asarray(theirs, dtype=numpy.float64)
    if ours.shape != theirs.shape:
        raise Failed(f"{what}: ours has shape {ours.shape}, theirs {theirs.shape}")
    if ours.size == 0:
        return 0.0
    difference = float(abs(ours - theirs).max() / max(1.0, float(abs(theirs).max())))
    if not difference <= bound:
        raise Failed(f"{what}: the largest difference is {difference:.2e}, more than {bound:.0e}")
    return difference


def equal(what, ours, theirs):
    """Fails unless both are the same."""
    if ours != theirs:
        raise Failed(f"{what}: ours is {str(ours)[:200]}, theirs {str(theirs)[:200]}")
