"""Encoders: BERT's folders in every form that people have, and what codex-ml exports of each task."""

import json

import numpy
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer, models
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

from check_minilm import embed
from foreign import jitter, kept_as, random_ids
from table import close, equal
from texts import pairs, plain, varied

BOUND = 1e-5
BERT = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=40,
            type_vocab_size=2)  # fmt: skip
LENGTHS = [17, 2, 9, 40]


def run(codex, minilm, table):
    """All checks of this file."""
    for how in ("f32", "sharded", "f16", "bf16"):
        table.check(f"import: bert masked, {how}", imported_masked, codex, how)
    for name in ("plain names", "plain names without pooler", "bert. prefix", "gamma and beta", "gamma and beta, bert. prefix"):
        table.check(f"import: bert encoder, {name}", imported_encoder, codex, name)
    for name, labels in (("3 classes", 3), ("one value", 1)):
        table.check(f"import: bert classifier, {name}, token types", imported_classifier, codex, labels)
    for pooling, normalized in (("mean", True), ("mean", False), ("cls", True), ("cls", False)):
        name = f"{pooling} pooling{'' if normalized else ' without Normalize'}"
        table.check(f"import: sentence-transformers folder, {name}", imported_sentence, codex, pooling, normalized)
    table.check("export: bert masked opens in AutoModelForMaskedLM", exported_masked, codex)
    table.check("export: bert classifier opens in AutoModelForSequenceClassification", exported_classifier, codex)
    table.check("export: bert regression opens in AutoModelForSequenceClassification", exported_regression, codex)
    table.check("export: bert embedding opens in sentence-transformers", exported_embedding, codex)


def config(vocab_size=211, **more):
    """A tiny BERT without dropout."""
    return transformers.BertConfig(vocab_size=vocab_size, **BERT, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **more)


def opened(kind, folder):
    """A folder of ours in Transformers, which must find every weight and no other."""
    model, info = kind.from_pretrained(folder, output_loading_info=True)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        equal(what, [], sorted(map(str, info[what])))
    return model.eval()


def rows(model, sequences, **more):
    """One row of logits a token, sequence after sequence."""
    with torch.no_grad():
        return torch.cat([model(torch.tensor([ids]), **more).logits[0] for ids in sequences])


def imported_masked(codex, how):
    """BertForMaskedLM: logits; and what codex-ml saves of it again."""
    torch.manual_seed(7)
    model = jitter(transformers.BertForMaskedLM(config()))
    folder = codex.work / "foreign" / f"bert-masked-{how}"
    again = codex.work / "foreign" / f"bert-masked-{how}-again"
    model = kept_as(model, folder, how)
    sequences = random_ids(211, LENGTHS)
    ours = codex.outputs(folder, sequences, want=["logits"], save=str(again))["logits"]
    difference = close("logits", ours, rows(model, sequences), BOUND)
    close("logits of what codex-ml saved again", ours, rows(opened(AutoModelForMaskedLM, again), sequences), BOUND)
    return f"logits {difference:.1e}, saved again"


def pooled(model, sequences):
    """The mean of the last hidden states, normalised, of a model that gives hidden states."""
    with torch.no_grad():
        means = torch.cat([model(torch.tensor([ids])).last_hidden_state.mean(1) for ids in sequences])
    return torch.nn.functional.normalize(means)


def imported_encoder(codex, name):
    """BertModel under the names of different times: mean embeddings."""
    torch.manual_seed(8)
    model = jitter(transformers.BertModel(config(), add_pooling_layer="without pooler" not in name)).eval()
    folder = codex.work / "foreign" / f"bert-{name}".replace(" ", "-").replace(",", "").replace(".", "")
    again = folder.with_name(folder.name + "-again")
    model.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    if "gamma" in name:
        old = lambda key: key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        weights = {old(key): value for key, value in weights.items()}
    if "prefix" in name:
        weights = {f"bert.{key}": value for key, value in weights.items()}
        # As checkpoints of the pre-training have it: heads that an encoder does not need.
        weights["cls.seq_relationship.weight"] = torch.zeros(2, 32)
        weights["cls.seq_relationship.bias"] = torch.zeros(2)
    weights["embeddings.position_ids"] = torch.arange(40)[None]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    sequences = random_ids(211, LENGTHS)
    ours = codex.outputs(folder, sequences, task="embedding", want=["embeddings"], save=str(again))["embeddings"]
    difference = close("embeddings", ours, pooled(model, sequences), BOUND)
    reopened = AutoModel.from_pretrained(again).eval()
    close("embeddings of what codex-ml saved again", ours, pooled(reopened, sequences), BOUND)
    return f"embeddings {difference:.1e}, saved again"


def imported_classifier(codex, labels):
    """BertForSequenceClassification on pairs of segments."""
    torch.manual_seed(9)
    model = jitter(transformers.BertForSequenceClassification(config(num_labels=labels))).eval()
    folder = codex.work / "foreign" / f"bert-classifier-{labels}"
    again = folder.with_name(folder.name + "-again")
    model.save_pretrained(folder)
    sequences = random_ids(211, LENGTHS)
    types = [[int(at > len(ids) // 2) for at in range(len(ids))] for ids in sequences]

    def logits(of):
        with torch.no_grad():
            return torch.cat([of(torch.tensor([ids]), token_type_ids=torch.tensor([kinds])).logits for ids, kinds in zip(sequences, types)])

    ours = codex.outputs(folder, sequences, token_types=types, want=["sequence_outputs"], save=str(again))["sequence_outputs"]
    difference = close("outputs", ours, logits(model), BOUND)
    close("outputs of what codex-ml saved again", ours, logits(opened(AutoModelForSequenceClassification, again)), BOUND)
    return f"outputs {difference:.1e}, saved again"


def imported_sentence(codex, pooling, normalized):
    """A folder that sentence-transformers saved: its pooling, its normalisation, its longest text."""
    folder = codex.work / "foreign" / f"sentence-{pooling}-{normalized}"
    base = folder.with_name(folder.name + "-base")
    tokenizer = AutoTokenizer.from_pretrained(codex.work / "tokenizers" / "wordpiece")
    torch.manual_seed(10)
    jitter(transformers.BertModel(config(vocab_size=len(tokenizer)))).save_pretrained(base)
    tokenizer.save_pretrained(base)
    modules = [models.Transformer(str(base), max_seq_length=24), models.Pooling(BERT["hidden_size"], pooling_mode=pooling)]
    model = SentenceTransformer(modules=modules + [models.Normalize()] * normalized, device="cpu")
    model.save(str(folder))
    texts = [text for text in varied() if "[" not in text]
    lengths = numpy.linalg.norm(ours := embed(codex, folder, texts), axis=1)
    if normalized:
        close("lengths", lengths, numpy.ones(len(texts)), 1e-5)
    return f"embeddings {close('embeddings', ours, model.encode(texts), BOUND):.1e}, lengths {lengths.min():.3f} to {lengths.max():.3f}"


SMALL = ["model.architecture=bert", "model.hidden_size=48", "model.layers=2", "model.heads=4", "model.sequence_length=64",
         "tokenizer.algorithm=wordpiece", "tokenizer.vocab_size=600", "training.steps=30", "training.batch_size=8",
         "training.learning_rate=1e-3", "trackers=[]"]  # fmt: skip


def exported_masked(codex):
    """Trained on masked tokens for some steps."""
    text = codex.work / "plain.txt"
    text.write_text(plain(), encoding="utf-8")
    folder, _ = codex.train("export-bert-masked", f"data.path={text}", "training.task=masked-lm", *SMALL)
    model = opened(AutoModelForMaskedLM, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    sequences = [tokenizer(line[:200], truncation=True, max_length=64)["input_ids"] for line in plain().splitlines()[:6]]
    sequences = [[tokenizer.mask_token_id if at % 5 == 2 else id for at, id in enumerate(ids)] for ids in sequences]
    ours = codex.outputs(folder, sequences, want=["logits"])["logits"]
    return f"logits {close('logits', ours, rows(model, sequences), BOUND):.1e}"


def labelled(codex, name, answer):
    """A file of texts, each with what `answer` says of it."""
    path = codex.work / f"{name}.jsonl"
    lines = [line.split(".")[0] for line in plain(600).splitlines()]
    path.write_text("".join(json.dumps({"text": line, "label": answer(line)}) + "\n" for line in lines), encoding="utf-8")
    return path, lines[:8]


def sequence_model(codex, name, task, answer):
    """Trains on labelled texts, opens the export, compares outputs."""
    path, lines = labelled(codex, name, answer)
    folder, _ = codex.train(f"export-{name}", f"data.path={path}", "data.text_column=text", "data.label_column=label", f"training.task={task}", *SMALL)
    model = opened(AutoModelForSequenceClassification, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    sequences = [tokenizer(line, truncation=True, max_length=64)["input_ids"] for line in lines]
    ours = codex.outputs(folder, sequences, want=["sequence_outputs"])["sequence_outputs"]
    with torch.no_grad():
        theirs = torch.cat([model(torch.tensor([ids])).logits for ids in sequences])
    return model, f"outputs {close('outputs', ours, theirs, BOUND):.1e}"


def exported_classifier(codex):
    """Class names travel as id2label."""
    place = lambda line: next((word for word in ("river", "garden", "lantern") if word in line), "other")
    model, note = sequence_model(codex, "classification", "classification", place)
    equal("id2label", ["garden", "lantern", "other", "river"], sorted(model.config.id2label.values()))
    return note


def exported_regression(codex):
    """One value a text."""
    model, note = sequence_model(codex, "regression", "regression", lambda line: len(line) / 40)
    equal("num_labels", 1, model.config.num_labels)
    equal("problem_type", "regression", model.config.problem_type)
    return note


def exported_embedding(codex):
    """Trained from nothing on pairs."""
    path = codex.work / "small-pairs.jsonl"
    path.write_text("".join(json.dumps({"anchor": a, "positive": b}) + "\n" for a, b in pairs(200, seed=4)), encoding="utf-8")
    folder, _ = codex.train("export-embedding", f"data.path={path}", "training.task=embedding", "model.pooling=mean", *SMALL)
    texts = [text for text in varied() if "[" not in text]
    theirs = SentenceTransformer(str(folder), device="cpu").encode(texts)
    return f"embeddings {close('embeddings', embed(codex, folder, texts), theirs, BOUND):.1e}"
