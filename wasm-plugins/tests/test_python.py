"""What the guests in Python and C compute, without WebAssembly: `python3 -m unittest discover wasm-plugins/tests`.

The modules with the guests' classes need the host; these are those behind them."""

import ctypes
import math
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent.parent
for guest in ("text-metric-python", "tracker-python", "command-python"):
    sys.path.insert(0, str(HERE / guest))

from report import Report, file_name  # noqa: E402
from summary import BadLine, summary  # noqa: E402
from surprise import STATE, NotANumber, Surprise  # noqa: E402

# The state after `targets()`, the same in `text-metric-rust/src/surprise.rs`.
EXPECTED_STATE = "e80300000000000046000000000000000098ce9d0f8fb340000000c076fe2340"


def targets() -> bytes:
    return b"".join(struct.pack("<f", -(at * 7919 % 10007) / 1000) for at in range(1000))


def compiled() -> ctypes.CDLL | None:
    """The arithmetic in C as a library of this machine."""
    compiler = shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        return None
    library = pathlib.Path(tempfile.mkdtemp()) / "surprise.so"
    source = HERE / "text-metric-c" / "surprise.c"
    # Rounding twice, as some compilers contract to, would give other bits.
    options = ["-O2", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *options, "-o", library, source], check=True)
    return ctypes.CDLL(str(library))


class InC(ctypes.Structure):
    _fields_ = [("targets", ctypes.c_uint64), ("confident", ctypes.c_uint64), ("sum", ctypes.c_double), ("max", ctypes.c_double)]


class SurpriseTest(unittest.TestCase):
    def test_the_state_is_that_of_the_other_languages(self):
        metric = Surprise()
        packed = targets()
        metric.update(packed[:400])
        other = Surprise()
        other.update(packed[:400])
        other.update(packed[400:])
        self.assertEqual(other.state().hex(), EXPECTED_STATE)
        rest = Surprise()
        rest.update(packed[400:])
        metric.merge(rest.state())
        self.assertEqual(metric.scores()[1:], other.scores()[1:])
        self.assertAlmostEqual(metric.scores()[0], other.scores()[0], places=12)

    def test_c_gives_the_same_bits(self):
        library = compiled()
        if library is None:
            self.skipTest("there is no C compiler")
        library.surprise_new.restype = InC
        library.surprise_update.restype = ctypes.c_size_t
        library.surprise_update.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        metric = library.surprise_new()
        packed = targets()
        self.assertEqual(library.surprise_update(ctypes.byref(metric), packed, 1000), 1000)
        state = ctypes.create_string_buffer(STATE.size)
        library.surprise_state(ctypes.byref(metric), state)
        self.assertEqual(state.raw.hex(), EXPECTED_STATE)
        scores = (ctypes.c_double * 3)()
        library.surprise_scores(ctypes.byref(metric), scores)
        python = Surprise()
        python.merge(state.raw)
        self.assertEqual(tuple(scores), python.scores())
        bad = struct.pack("<ff", -1.0, math.nan)
        self.assertEqual(library.surprise_update(ctypes.byref(metric), bad, 2), 1)

    def test_nothing_seen_and_nothing_that_is_no_number(self):
        metric = Surprise()
        self.assertTrue(all(map(math.isnan, metric.scores())))
        before = metric.state()
        with self.assertRaises(NotANumber) as raised:
            metric.update(struct.pack("<fff", -1.0, math.nan, -2.0))
        self.assertEqual((raised.exception.at, raised.exception.count), (1, 3))
        self.assertEqual(metric.state(), before)


EVENTS = """\
{"event":"run_started","name":"check"}
{"event":"step","step":2,"loss":2.5,"learning_rate":0.001,"grad_norm":1.0,"tokens_per_second":900.0}
{"event":"evaluation","step":2,"split":"validation","metrics":{"loss":2.4,"perplexity":null}}
{"event":"of-a-later-version","text":"č"}
"""


class ReportTest(unittest.TestCase):
    def test_a_page_has_losses_and_evaluations(self):
        report = Report("check", "/runs/check", 2)
        report.add(EVENTS)
        self.assertTrue(report.changed)
        report.add('{"event":"run_finished","status":"finished","steps":3}')
        page = report.page()
        for line in (
            "- status: finished after 3 steps",
            "| step | loss | perplexity |",
            "| 2 | 2.4 |  |",
            "| 2 | 2.5 | 0.001 | 1 | 900 |",
        ):
            self.assertIn(line, page.splitlines())
        self.assertFalse(report.changed)

    def test_a_run_that_goes_on_keeps_its_rows(self):
        first = Report("check", "/runs/check", 1)
        first.add(EVENTS)
        again = Report("check", "/runs/check", 1)
        again.continued(first.page())
        again.add(EVENTS)
        self.assertEqual(again.page(), first.page())
        later = '{"event":"evaluation","step":4,"metrics":{"loss":1.5,"accuracy":0.5}}'
        again.add(later)
        first.add(later)
        self.assertEqual(again.page(), first.page())
        again.continued("something else")
        self.assertEqual(again.page(), first.page())

    def test_names_of_runs_become_names_of_files(self):
        for run, name in (("check", "check.md"), ("sweep/lr=0.1", "sweep-lr-0.1.md"), ("..", "run.md")):
            self.assertEqual(file_name(run), name)


class SummaryTest(unittest.TestCase):
    def test_fields_are_listed_in_their_order(self):
        text = summary(['{"text": "ab", "n": 1}', "", '{"text": "abcd", "label": true}', '{"n": null}'])
        self.assertEqual(
            text,
            "3 records\n"
            "field  types         missing  least  mean  most\n"
            "text   text          1        2      3     4\n"
            "n      null, number  1        1      1     1\n"
            "label  boolean       2\n",
        )

    def test_only_as_many_records_as_asked_for(self):
        self.assertTrue(summary(['{"a": 1}', "no JSON"], most=1).startswith("1 records"))

    def test_a_bad_line_is_named(self):
        for line, why in (("{", "Expecting"), ("[1]", "it is no object")):
            with self.assertRaises(BadLine) as raised:
                summary(['{"a": 1}', line])
            self.assertEqual(raised.exception.line, 2)
            self.assertIn(why, raised.exception.why)


if __name__ == "__main__":
    unittest.main()
