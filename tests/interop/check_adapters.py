"""Adapters: what PEFT saves works here, beside the model and merged into it, and what codex-ml trains opens in PEFT."""

import json
import shutil
import warnings

import torch
import transformers
from peft import IA3Config, LoraConfig, PeftModel, VeraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

from check_decoders import GPT2, LLAMA
from check_encoders import config as bert_config
from check_encoders import labelled
from foreign import jitter, random_ids
from table import Failed, close, equal
from texts import plain

BOUND = 1e-5
LENGTHS = [17, 2, 9, 30]
FOREIGN = {
    "gpt2": (lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2)), AutoModelForCausalLM),
    "llama": (
        lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA, num_key_value_heads=2, tie_word_embeddings=False)),
        AutoModelForCausalLM,
    ),
    "bert": (lambda: transformers.BertForMaskedLM(bert_config()), AutoModelForMaskedLM),
}
FEED_FORWARD = {"gpt2": "mlp.c_proj", "llama": "down_proj", "bert": "output.dense"}
ATTENTION = {"gpt2": ["c_attn", "c_fc"], "llama": ["q_proj", "up_proj", "v_proj"], "bert": ["query", "value", "intermediate.dense"]}
# What PEFT is asked for, by the names under which codex-ml knows the five.
THEIRS = {
    "lora": lambda name: LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"),
    "lora, patterns and biases": lambda name: LoraConfig(
        r=4, lora_alpha=8, target_modules=ATTENTION[name], rank_pattern={ATTENTION[name][0]: 2}, alpha_pattern={ATTENTION[name][1]: 3}, bias="all"
    ),
    "lora, biases of its modules": lambda name: LoraConfig(r=3, target_modules=ATTENTION[name], bias="lora_only"),
    "rslora": lambda name: LoraConfig(r=4, lora_alpha=8, use_rslora=True, target_modules=ATTENTION[name]),
    "dora": lambda name: LoraConfig(r=4, lora_alpha=8, use_dora=True, target_modules=[*ATTENTION[name], FEED_FORWARD[name]]),
    "ia3": lambda name: IA3Config(target_modules=[*ATTENTION[name], FEED_FORWARD[name]], feedforward_modules=[FEED_FORWARD[name]]),
    "vera": lambda name: VeraConfig(r=8, target_modules=[*ATTENTION[name], FEED_FORWARD[name]]),
}
OURS = {
    "lora": ["adapter=lora", "adapter.rank=4", "adapter.targets=all-linear"],
    "lora, patterns and biases": ["adapter=lora", "adapter.rank=4", "adapter.alpha=8", "adapter.targets=all-linear",
                                  'adapter.rank_pattern={"up": 2}', 'adapter.alpha_pattern={"*.1.*": 3}', "adapter.bias=all"],
    "lora, pissa": ["adapter=lora", "adapter.rank=4", "adapter.init=pissa"],
    "rslora": ["adapter=rslora", "adapter.rank=4", "adapter.bias=lora_only"],
    "dora": ["adapter=dora", "adapter.rank=4", "adapter.targets=all-linear"],
    "ia3": ["adapter=ia3"],
    "vera": ["adapter=vera", "adapter.rank=8"],
}  # fmt: skip
SMALL = ["model.hidden_size=48", "model.layers=2", "model.heads=4", "model.sequence_length=64", "tokenizer.vocab_size=600",
         "training.steps=20", "training.batch_size=8", "training.learning_rate=3e-3", "trackers=[]"]  # fmt: skip
# High, so that an adapter that does nothing shows.
TUNED = ["training.steps=12", "training.batch_size=8", "training.learning_rate=2e-2", "training.warmup_steps=0", "trackers=[]"]
ENCODER = ["model.architecture=bert", "tokenizer.algorithm=wordpiece"]


def run(codex, minilm, table):
    """All checks of this file."""
    # PEFT asks for tokens that a model of ours need not have.
    warnings.filterwarnings("ignore", module="peft")
    text = codex.work / "plain.txt"
    text.write_text(plain(), encoding="utf-8")
    for name in FOREIGN:
        for kind, make in THEIRS.items():
            table.check(f"adapters: {kind} of PEFT on {name}, beside and merged", imported, codex, name, kind, make)
    table.check("adapters: a classifier of PEFT with its head", imported_classifier, codex)
    for name, settings in (("gpt2", ["model.architecture=gpt2"]), ("llama", ["model.architecture=llama", "model.kv_heads=2"]), ("bert", ENCODER)):
        for kind in OURS:
            table.check(f"adapters: {kind} trained here on {name} opens in PEFT", exported, codex, text, name, kind, settings)
    table.check("adapters: a classifier trained here opens in PEFT with its head", exported_classifier, codex, text)


def logits(model, sequences):
    """One row a token, or a row a sequence where the model gives one."""
    with torch.no_grad():
        rows = [model(input_ids=torch.tensor([ids])).logits for ids in sequences]
    return torch.cat([row[0] if row.dim() == 3 else row for row in rows])


def moved(model):
    """Fresh adapters change nothing: every number that trains moves."""
    made = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=made) * 0.1)
    return model.eval()


def merged(codex, base, adapter, output, kind):
    """What `lora merge` writes, in Transformers; it says itself how close it is."""
    shutil.rmtree(output, ignore_errors=True)
    said = codex.run("lora", "merge", "--model", base, "--adapter", adapter, "--output", output)
    if "largest difference between merged and beside the model" not in said:
        raise Failed(f"lora merge said {said!r}")
    return kind.from_pretrained(output, dtype=torch.float32).eval()


def imported(codex, name, kind, make):
    """Logits of PEFT's own model, beside the base and merged."""
    create, auto = FOREIGN[name]
    place = codex.work / "adapters" / f"{name}-{kind}".replace(" ", "-").replace(",", "")
    torch.manual_seed(7)
    jitter(create()).save_pretrained(place / "base")
    base = auto.from_pretrained(place / "base").eval()
    sequences = random_ids(211, LENGTHS)
    before = logits(base, sequences)
    model = moved(get_peft_model(base, make(name)))
    model.save_pretrained(place / "adapter")
    theirs = logits(model, sequences)
    if float((theirs - before).abs().max()) < 1e-2:
        raise Failed("the adapter changes nothing")
    ours = codex.outputs(place / "base", sequences, want=["logits"], adapters=[str(place / "adapter")])["logits"]
    difference = close("logits beside the model", ours, theirs, BOUND)
    again = merged(codex, place / "base", place / "adapter", place / "merged", auto)
    return f"logits {difference:.1e}, merged {close('logits when merged', logits(again, sequences), theirs, BOUND):.1e}"


def imported_classifier(codex):
    """`modules_to_save`: the head is in the adapter's folder, whole."""
    place = codex.work / "adapters" / "classifier"
    torch.manual_seed(7)
    jitter(transformers.BertForSequenceClassification(bert_config(num_labels=3))).save_pretrained(place / "base")
    base = AutoModelForSequenceClassification.from_pretrained(place / "base").eval()
    model = moved(get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["query", "value"])))
    model.save_pretrained(place / "adapter")
    sequences = random_ids(211, LENGTHS)
    ours = codex.outputs(place / "base", sequences, want=["sequence_outputs"], adapters=[str(place / "adapter")])["sequence_outputs"]
    return f"outputs {close('outputs', ours, logits(model, sequences), BOUND):.1e}"


def in_peft(auto, base, adapter):
    """A folder of ours in PEFT, which must find every tensor and no other."""
    model = PeftModel.from_pretrained(auto.from_pretrained(base, dtype=torch.float32), str(adapter)).eval()
    # A parameter under two names, such as the bias of BERT's masked head, is in the folder once.
    theirs = {key for key in get_peft_model_state_dict(model) if not key.endswith("cls.predictions.decoder.bias")}
    equal("keys", sorted(load_file(adapter / "adapter_model.safetensors")), sorted(theirs))
    return model


def same(codex, folder, base, auto, sequences, want):
    """Our outputs with the adapter beside the base, and PEFT's."""
    plain = codex.outputs(base, sequences, want=[want])[want] if want == "logits" else None
    ours = codex.outputs(base, sequences, want=[want], adapters=[str(folder)], **({} if plain else {"task": "classification"}))[want]
    if plain and float((torch.tensor(ours) - torch.tensor(plain)).abs().max()) < 1e-3:
        raise Failed("training changed nothing")
    return close(want, ours, logits(in_peft(auto, base, folder), sequences), BOUND)


def exported(codex, text, name, kind, settings):
    """A base that was trained here, fine-tuned on the same text."""
    task = [f"training.task={'masked-lm' if name == 'bert' else 'causal-lm'}", f"data.path={text}"]
    base = codex.work / "runs" / f"adapted-{name}" / "model"
    if not base.exists():
        codex.train(f"adapted-{name}", *task, *settings, *SMALL)
    run = f"adapter-{name}-{kind}".replace(" ", "-").replace(",", "")
    folder, _ = codex.train(run, *task, f"model.path={base}", f"tokenizer.path={base}", *OURS[kind], *TUNED)
    equal("base_model_name_or_path", str(base), json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"])
    auto = AutoModelForMaskedLM if name == "bert" else AutoModelForCausalLM
    sequences = random_ids(AutoTokenizer.from_pretrained(base).vocab_size, LENGTHS)
    return f"logits {same(codex, folder, base, auto, sequences, 'logits'):.1e}"


def exported_classifier(codex, text):
    """A classifier's head and adapter, from a classifier trained here."""
    place = lambda line: next((word for word in ("river", "garden", "lantern") if word in line), "other")
    path, _ = labelled(codex, "adapted-classification", place)
    task = [f"data.path={path}", "data.text_column=text", "data.label_column=label", "training.task=classification"]
    base, _ = codex.train("adapted-classifier", *task, *ENCODER, *SMALL)
    folder, _ = codex.train("adapter-classifier", *task, f"model.path={base}", f"tokenizer.path={base}", *OURS["lora"], *TUNED)
    sequences = random_ids(AutoTokenizer.from_pretrained(base).vocab_size, LENGTHS)
    difference = same(codex, folder, base, AutoModelForSequenceClassification, sequences, "sequence_outputs")
    return f"outputs {difference:.1e}"
