"""The rows of peers.py about adapters: LoRA here beside PEFT, and beside training everything."""

import json
import shutil
import statistics

RANK = 8
PAIRS, PAIR_LENGTH = 32, 64


def adapter(**config):
    return dict(name="lora", config=dict(rank=RANK, alpha=2 * RANK, dropout=0.0, **config))


ALL_LINEAR = adapter(targets="all-linear")
QUERY_VALUE = adapter(targets=["query", "value"])


def language_model(bench):
    """(job, our side, what theirs is opened with): LoRA on every linear map of the model of the training step."""
    base = bench.saved_step()
    ids = bench.ids[: bench.tokens]
    shape = dict(sequences=bench.tokens // bench.length, length=bench.length, ids=ids)
    ours = bench.ours(job="step", settings=dict(path=str(base), sequence_length=bench.length), adapter=ALL_LINEAR, **shape)
    return "LoRA step 6×384, r=8 on all linear maps, 8×128", ours, dict(job="lora-lm", base=str(base), **shape)


def without_dropout(bench, minilm):
    """A copy of the model without dropout: both sides would draw differently."""
    folder = bench.work / "minilm"
    if not folder.exists():
        shutil.copytree(minilm, folder)
        config = folder / "config.json"
        values = json.loads(config.read_text(encoding="utf-8"))
        values |= dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        config.write_text(json.dumps(values), encoding="utf-8")
    return str(folder)


def pairs(bench, minilm):
    """The same for sentence embeddings of all-MiniLM-L6-v2, LoRA on queries and values."""
    minilm = without_dropout(bench, minilm)
    ids = [1000 + at % 20_000 for at in bench.ids[: 2 * PAIRS * PAIR_LENGTH]]
    shape = dict(sequences=2 * PAIRS, length=PAIR_LENGTH, ids=ids)
    ours = bench.ours(
        job="step", settings=dict(path=minilm, task="embedding"), adapter=QUERY_VALUE, task="embedding", parts=2, **shape
    )
    return f"LoRA step all-MiniLM-L6-v2, r=8 on query and value, {PAIRS} pairs of {PAIR_LENGTH} tokens", ours, dict(job="lora-pairs", base=minilm, **shape)


def opened(bench, open_ours, name):
    """Both sides with the same base and adapter."""
    job, ours, request = open_ours(bench)
    folder = bench.work / name
    if not folder.exists():
        folder.mkdir()
        ours.ask(do="save-adapter", folder=str(folder))
    return job, ours, bench.theirs(adapter=str(folder), **request)


def step(bench, row, name, open_ours):
    """Time of a step."""
    job, ours, theirs = opened(bench, open_ours, name)
    tokens = ours.about["tokens"]
    times = bench.turns(ours, theirs, repeat=3)
    losses = (ours.last["loss"], theirs.last["loss"])
    if abs(losses[0] - losses[1]) > 1e-3 * losses[1] or ours.about["trained"] != theirs.about["trained"]:
        raise RuntimeError(f"losses {losses}, {ours.about} and {theirs.about}: both sides do not do the same")
    note = f"{ours.about['trained']:,} parameters train; moments {8 * ours.about['trained'] / 1e6:.2f} MB"
    ours.close(), theirs.close()
    return row(name, job, "PEFT on PyTorch", 2.0, "tokens/s", *times, amount=tokens, note=note)


def memory(bench, row, peak, name, open_ours):
    """The most memory of the whole process, each round in new ones."""
    ours, theirs, ratios = [], [], []
    for _ in range(bench.options.rounds):
        job, a, b = opened(bench, open_ours, name)
        ours.append(peak(a)[0]), theirs.append(peak(b)[0]), ratios.append(ours[-1] / theirs[-1])
    result = row(f"{name}-memory", f"peak memory, whole process: {job}", "PEFT on PyTorch", 0.6, "MB", ours, theirs)
    return result | dict(ours=statistics.median(ours) / 1e6, theirs=statistics.median(theirs) / 1e6, ratio=statistics.median(ratios),
                         lowest=min(ratios), highest=max(ratios), less_is_better=True)  # fmt: skip


def beside_full(bench, row):
    """A LoRA step beside a step of all parameters, both ours. At most 0.75 of its time: at least 1.33 of its speed."""
    job, ours, _ = language_model(bench)
    full = bench.our_step()
    tokens = ours.about["tokens"]
    times = bench.turns(ours, full, repeat=3)
    ours.close(), full.close()
    return row("lora-full", job, "our own step of all parameters", round(1 / 0.75, 2), "tokens/s", *times, amount=tokens)


def load_and_merge(bench, row):
    """Seconds from the folder to a model that answers with the adapter, and to one that has it in its weights."""
    base, folder = bench.saved_step(), bench.work / "lora-trained"
    job, side, _ = language_model(bench)
    side.ask(do="run", repeat=5)  # What was not trained changes nothing.
    folder.mkdir(exist_ok=True)
    side.ask(do="save-adapter", folder=str(folder))
    side.close()
    request = dict(job="adapter", folder=str(folder), ids=bench.ids[: bench.length])
    ours = bench.ours(settings=dict(path=str(base), sequence_length=bench.length), **request)
    theirs = bench.theirs(base=str(base), **request)
    answers = {ours: [], theirs: []}
    ours.ask(do="run"), theirs.ask(do="run")
    for number in range(bench.options.rounds):
        for side in (ours, theirs) if number % 2 == 0 else (theirs, ours):
            answers[side].append(side.ask(do="run"))
    a, b = answers[ours], answers[theirs]
    if max(abs(x - y) for x, y in zip(a[0]["logits"], b[0]["logits"])) > 1e-4:
        raise RuntimeError("the logits differ: both sides do not do the same")
    ours.close(), theirs.close()
    note = f"the largest change of a logit by merging: {max(it['change'] for it in a):.1e}, PEFT's {max(it['change'] for it in b):.1e}"
    what = {"load": "load the adapter of that model", "merge": "merge it"}
    return [row(f"lora-{key}", what[key], "PEFT on PyTorch", None, "ms", [it[key] for it in a], [it[key] for it in b],
                note=note if key == "merge" else "") for key in what]  # fmt: skip
