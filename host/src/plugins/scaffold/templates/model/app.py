"""The model `{{name}}`: a bigram model. It trains through the host's loop like any other.

What a gradient is to a network, the counts of a batch are to it: a backward pass counts, an optimizer step adds the counts. So the
learning rate changes nothing, and one pass over the data (`training.epochs=1`) is all there is to learn. What crosses the border is
here; the counts are in `bigram.py`. Numbers cross packed, little-endian, one behind the other. Every component has an instance of
its own, so a global variable is its state and nobody else's."""

import json
import struct

from bigram import Counts, TooLong, UnknownId
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import (
    AdapterPlan,
    Batch,
    Error,
    ErrorKind,
    File,
    GradientSummary,
    Ids,
    Loss,
    ModelInfo,
    OptimizerStep,
    Parameter,
    ScoreRequest,
    Scores,
    Site,
    TrainingPass,
    TrainingSettings,
)

settings = {"vocab_size": 1024, "sequence_length": 256, "smoothing": 0.1}
counts = Counts(**settings)
# What was counted since the last optimizer step, and the scale of the loss; nothing before training.
fresh: Counts | None = None
scale = 0.0
sessions: dict[int, list[int]] = {}
opened = 0


def fail(kind: ErrorKind, message: str) -> Err:
    return Err(Error(kind, message, None, []))


def unsupported(what: str) -> Err:
    return fail(ErrorKind.UNSUPPORTED, f"{what} is not supported by {{name}}")


def sequences(ids: Ids) -> list[memoryview]:
    numbers, offsets = memoryview(ids.ids).cast("I"), memoryview(ids.offsets).cast("Q")
    return [numbers[start:end] for start, end in zip(offsets, offsets[1:])]


def targets(batch: Batch) -> list[list[tuple[int, int]]]:
    """The targets of each sequence, with the id before each."""
    labels = memoryview(batch.labels if batch.labels is not None else b"").cast("q")
    found, first = [], 0
    try:
        for ids in sequences(batch.sequences):
            own = labels[first : first + len(ids)] if batch.labels is not None else ids
            found.append(counts.targets(ids, own))
            first += len(ids)
    except (TooLong, UnknownId) as error:
        raise fail(ErrorKind.DATA, str(error)) from None
    return found


def training() -> Counts:
    if fresh is None:
        raise fail(ErrorKind.FAILED, "training has not begun")
    return fresh


def session(number: int) -> list[int]:
    if number not in sessions:
        raise fail(ErrorKind.FAILED, f"there is no session {number}")
    return sessions[number]


def find(files: list[File], name: str) -> str:
    for file in files:
        if file.name == name:
            return file.content.decode()
    raise fail(ErrorKind.DATA, f"there is no {name} in the folder")


def read_counts(files: list[File]) -> Counts:
    try:
        return Counts.from_text(find(files, "counts.txt"), **settings)
    except (ValueError, UnknownId) as error:
        raise fail(ErrorKind.DATA, f"counts.txt is wrong: {error}") from None


class Model(exports.Model):
    def create(self, name: str, config: str, files: list[File]) -> None:
        """`files` are those of the folder that the configuration's `path` names; none without one."""
        global counts
        given = json.loads(config)
        saved = json.loads(find(files, "config.json")) if given.get("path") else given
        settings.update({key: saved[key] for key in settings})
        counts = read_counts(files) if given.get("path") else Counts(**settings)

    def info(self) -> ModelInfo:
        return ModelInfo(
            architecture="bigram",
            parameters=counts.distinct(),
            vocab_size=settings["vocab_size"],
            max_sequence_length=settings["sequence_length"],
            hidden_size=0,
            tasks=["causal-lm"],
            device="cpu",
            precision="f64",
        )

    def parameters(self) -> list[Parameter]:
        return [Parameter("counts", [counts.distinct()], "u64", trainable=True)]

    def score(self, batch: Batch, request: ScoreRequest) -> Scores:
        scores, ranks, offsets = [], [], [0]
        for pairs in targets(batch):
            scores += [counts.score(before, id) for before, id in pairs]
            ranks += [counts.rank(before, id) for before, id in pairs]
            offsets.append(len(scores))
        return Scores(
            target_offsets=struct.pack(f"<{len(offsets)}Q", *offsets),
            log_probabilities=struct.pack(f"<{len(scores)}f", *scores),
            ranks=struct.pack(f"<{len(ranks)}I", *ranks),
            sequence_outputs=b"",
            loss=Loss(-sum(scores), len(scores)),
        )

    def save(self) -> list[File]:
        config = json.dumps({"model_type": "{{name}}", **settings}, indent=2)
        return [File("config.json", config.encode()), *self.export_state()]

    def begin_training(self, settings: TrainingSettings) -> None:
        global fresh
        fresh = counts.empty()

    def forward_backward(self, batch: Batch, pass_: TrainingPass) -> Loss:
        global scale
        loss = Loss(0.0, 0)
        for before, id in (pair for pairs in targets(batch) for pair in pairs):
            loss.sum -= counts.score(before, id)
            loss.targets += 1
            training().add(before, id, 1)
        # All passes of a step have the same scale.
        scale = pass_.loss_scale
        return loss

    def gradients(self) -> list[GradientSummary]:
        return [GradientSummary("counts", scale * training().norm(), training().distinct() > 0)]

    def do_optimizer_step(self, step: OptimizerStep) -> float:
        global fresh
        norm = scale * training().norm()
        counts.merge(training())
        fresh = counts.empty()
        return norm

    def export_state(self) -> list[File]:
        return [File("counts.txt", counts.to_text().encode())]

    def import_state(self, files: list[File]) -> None:
        global counts
        counts = read_counts(files)

    def open_session(self) -> int:
        global opened
        opened += 1
        sessions[opened] = []
        return opened

    def extend_sessions(self, numbers: bytes, ids: Ids) -> bytes:
        logits = []
        for number, new in zip(memoryview(numbers).cast("Q"), sequences(ids)):
            read = session(number)
            try:
                counts.check(new, len(read))
            except (TooLong, UnknownId) as error:
                raise fail(ErrorKind.DATA, str(error)) from None
            read += new
            logits += [counts.score(read[-1], id) for id in range(settings["vocab_size"])]
        return struct.pack(f"<{len(logits)}f", *logits)

    def truncate_session(self, number: int, length: int) -> None:
        if length > len(session(number)):
            raise fail(ErrorKind.DATA, f"session {number} has only {len(session(number))} ids")
        del session(number)[length:]

    def close_session(self, number: int) -> None:
        session(number)
        del sessions[number]

    # What this model cannot do.

    def embed(self, sequences: Ids) -> bytes:
        raise unsupported("embedding")

    def sites(self) -> list[Site]:
        raise unsupported("an adapter")

    def add_adapter(self, name: str, plan: AdapterPlan) -> None:
        raise unsupported("an adapter")

    def load_adapter(self, name: str, files: list[File]) -> None:
        raise unsupported("an adapter")

    def save_adapter(self, name: str) -> list[File]:
        raise unsupported("an adapter")

    def activate_adapters(self, names: list[str], weights: bytes) -> None:
        raise unsupported("an adapter")

    def merge_adapter(self, name: str, merged: bool) -> float:
        raise unsupported("an adapter")
