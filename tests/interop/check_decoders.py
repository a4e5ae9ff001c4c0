"""Causal models: what codex-ml exports opens in Transformers, what Transformers saves opens in codex-ml, same outputs."""

import json

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from foreign import jitter, kept_as, random_ids
from table import Failed, close, equal
from texts import plain

# Relative to the largest logit.
BOUND = 1e-5
SMALL = ["model.hidden_size=48", "model.layers=2", "model.heads=4", "model.sequence_length=64", "tokenizer.vocab_size=600",
         "training.steps=30", "training.batch_size=8", "training.learning_rate=3e-3", "trackers=[]"]  # fmt: skip
EXPORTED = {
    "gpt2": ["model.architecture=gpt2"],
    "gpt2 untied": ["model.architecture=gpt2", "model.tie_word_embeddings=false"],
    "llama": ["model.architecture=llama"],
    "llama tied, grouped queries": ["model.architecture=llama", "model.tie_word_embeddings=true", "model.kv_heads=2"],
}
GPT2 = dict(vocab_size=211, n_positions=48, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2)
LLAMA = dict(vocab_size=211, hidden_size=32, intermediate_size=88, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=64, bos_token_id=1, eos_token_id=2)  # fmt: skip
FOREIGN = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2)),
    "gpt2 untied": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2, tie_word_embeddings=False)),
    "gpt2 gelu": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(**GPT2, activation_function="gelu")),
    "llama untied": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA, tie_word_embeddings=False)),
    "llama tied": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA, tie_word_embeddings=True)),
    "llama grouped queries": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**LLAMA, num_key_value_heads=2, tie_word_embeddings=False, attention_bias=True, rope_theta=5e4)
    ),
    "llama one key head": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**LLAMA, num_key_value_heads=1, tie_word_embeddings=True, mlp_bias=True)
    ),
}


def run(codex, minilm, table):
    """All checks of this file."""
    text = codex.work / "plain.txt"
    text.write_text(plain(), encoding="utf-8")
    for name, settings in EXPORTED.items():
        table.check(f"export: {name} opens in AutoModelForCausalLM", exported, codex, text, name, settings)
    for name, make in FOREIGN.items():
        for how in ["f32"] if name not in ("gpt2", "llama untied") else ["f32", "sharded", "f16", "bf16"]:
            table.check(f"import: {name}, {how}", imported, codex, name, make, how)
    table.check("import: gpt2 without a head's prefix (GPT2Model)", headless, codex)


def exported(codex, text, name, settings):
    """Logits, the loss of a text, and greedy continuations."""
    folder, _ = codex.train(f"export-{name.replace(' ', '-').replace(',', '')}", f"data.path={text}", *settings, *SMALL)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    model.eval()
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        equal(kind, [], sorted(map(str, info[kind])))
    prompts = ["The", "The old garden", "The quiet painter near the mill", "A"]
    sequences = [tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
    ours = codex.outputs(folder, sequences, want=["logits"])["logits"]
    with torch.no_grad():
        theirs = torch.cat([model(torch.tensor([ids])).logits[0] for ids in sequences])
    difference = close("logits", ours, theirs, BOUND)
    for prompt in prompts:
        said = json.loads(codex.run("generate", "--model", folder, "--prompt", prompt, "--temperature", 0, "--max-new-tokens", 40, "--json"))
        ids = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
        ids = torch.tensor([ids + tokenizer(prompt, add_special_tokens=False)["input_ids"]])
        made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False, pad_token_id=0)
        equal(f"greedy text after {prompt!r}", said["text"], tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))
    loss = scored(codex, folder, text, tokenizer, model)
    return f"logits {difference:.1e}, 4 greedy texts, loss {loss} in both"


def scored(codex, folder, text, tokenizer, model):
    """`evaluate` gives the loss that the model has in Transformers, documents framed as in training."""
    lines = [line[:90] for line in text.read_text(encoding="utf-8").splitlines()[:40]]
    short = codex.work / "short.jsonl"
    short.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), encoding="utf-8")
    report = json.loads(codex.run("evaluate", "--model", folder, "--data", short, "--json"))
    total = count = 0
    with torch.no_grad():
        for line in lines:
            ids = [tokenizer.bos_token_id, *tokenizer(line, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            if len(ids) > model.config.max_position_embeddings:
                raise Failed("a line is longer than the model")
            ids = torch.tensor([ids])
            total += float(model(ids, labels=ids).loss) * (ids.shape[1] - 1)
            count += ids.shape[1] - 1
    equal("documents", report["samples"], len(lines))
    equal("targets", report["tokens"], count)
    close("loss of evaluate", [report["metrics"]["loss"]], [total / count], BOUND)
    return f"{total / count:.5f}"


def imported(codex, name, make, how):
    """A random model as Transformers saves it: logits, greedy ids; and the folder that codex-ml saves again."""
    torch.manual_seed(7)
    model = jitter(make()).eval()
    folder = codex.work / "foreign" / f"{name}-{how}".replace(" ", "-")
    model = kept_as(model, folder, how)
    sequences = random_ids(211, [17, 1, 9, 30])
    again = codex.work / "foreign" / f"{name}-{how}-again".replace(" ", "-")
    ours = codex.outputs(folder, sequences, want=["logits"], greedy=12, save=str(again))
    with torch.no_grad():
        theirs = torch.cat([model(torch.tensor([ids])).logits[0] for ids in sequences])
    difference = close("logits", ours["logits"], theirs, BOUND)
    for ids, found in zip(sequences, ours["greedy"]):
        ids = torch.tensor([ids])
        made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, pad_token_id=0, eos_token_id=None)
        equal("greedy ids", found, made[0, ids.shape[1] :].tolist())
    with torch.no_grad():
        reopened = AutoModelForCausalLM.from_pretrained(again, dtype=torch.float32).eval()
        theirs = torch.cat([reopened(torch.tensor([ids])).logits[0] for ids in sequences])
    close("logits of what codex-ml saved again", ours["logits"], theirs, BOUND)
    return f"logits {difference:.1e}, greedy, saved again"


def headless(codex):
    """A bare trunk gives embeddings; asked for a language model, its head is the token embedding, as in Transformers."""
    torch.manual_seed(8)
    base = jitter(transformers.GPT2Model(transformers.GPT2Config(**GPT2))).eval()
    folder = codex.work / "foreign" / "gpt2-base"
    base.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    sequences = random_ids(211, [17, 5])
    ours = codex.outputs(folder, sequences, task="causal-lm", want=["logits"])["logits"]
    with torch.no_grad():
        theirs = torch.cat([model(torch.tensor([ids])).logits[0] for ids in sequences])
        means = torch.cat([base(torch.tensor([ids])).last_hidden_state.mean(1) for ids in sequences])
    difference = close("logits", ours, theirs, BOUND)
    rows = codex.outputs(folder, sequences, want=["embeddings"])["embeddings"]
    return f"logits {difference:.1e}, embeddings {close('embeddings', rows, torch.nn.functional.normalize(means), BOUND):.1e}"
