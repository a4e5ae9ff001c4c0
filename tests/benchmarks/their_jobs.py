"""The peers' side of peers.py: the same protocol as our_jobs.rs, one JSON object a line in each direction.

`step`: a GPT-2 of plain PyTorch, with weights that codex-ml saved. `embed`: ONNX Runtime or sentence-transformers.
`generate`: Transformers with its cache. The jobs with adapters are in their_adapters.py.
"""

import contextlib
import json
import os
import sys
import time

import their_adapters

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever a library prints goes to stderr


def main():
    job = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "open":
            job = JOBS[request["job"]](request)
            answer = job.describe()
        else:
            repeat = request.get("repeat", 1)
            begun = time.perf_counter()
            for _ in range(repeat):
                answer = job.run()
            answer = dict(answer, seconds=(time.perf_counter() - begun) / repeat)
        print(json.dumps(answer), file=ANSWERS, flush=True)


def gpt2(folder):
    """The model in `folder` (GPT-2's names), as a module that gives the mean loss of rows of ids."""
    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file

    config = json.load(open(f"{folder}/config.json"))
    weights = {name.removeprefix("transformer."): value for name, value in load_file(f"{folder}/model.safetensors").items()}
    layers, heads, epsilon = config["n_layer"], config["n_head"], config["layer_norm_epsilon"]

    class Linear(torch.nn.Linear):
        def __init__(self, name):
            # Files of GPT-2 hold [in, out].
            weight = weights[f"{name}.weight"].T.contiguous()
            super().__init__(weight.shape[1], weight.shape[0])
            self.weight.data, self.bias.data = weight, weights[f"{name}.bias"]

    class Norm(torch.nn.LayerNorm):
        def __init__(self, name):
            super().__init__(config["n_embd"], eps=epsilon)
            self.weight.data, self.bias.data = weights[f"{name}.weight"], weights[f"{name}.bias"]

    class Block(torch.nn.Module):
        def __init__(self, at):
            super().__init__()
            self.norm_1, self.norm_2 = Norm(f"h.{at}.ln_1"), Norm(f"h.{at}.ln_2")
            self.qkv, self.out = Linear(f"h.{at}.attn.c_attn"), Linear(f"h.{at}.attn.c_proj")
            self.up, self.down = Linear(f"h.{at}.mlp.c_fc"), Linear(f"h.{at}.mlp.c_proj")

        def forward(self, x):
            rows, length, width = x.shape
            q, k, v = (
                part.view(rows, length, heads, width // heads).transpose(1, 2) for part in self.qkv(self.norm_1(x)).split(width, dim=2)
            )
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(rows, length, width))
            return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))

    class Gpt2(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = torch.nn.Parameter(weights["wte.weight"])
            self.positions = torch.nn.Parameter(weights["wpe.weight"])
            self.blocks = torch.nn.ModuleList(Block(at) for at in range(layers))
            self.norm = Norm("ln_f")

        def forward(self, ids):
            x = F.embedding(ids, self.tokens) + self.positions[: ids.shape[1]]
            for block in self.blocks:
                x = block(x)
            # The last id of a row has nothing to predict.
            logits = F.linear(self.norm(x[:, :-1]), self.tokens)
            return F.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten())

    return Gpt2()


class Step:
    """Forward, backward, clipping, fused AdamW."""

    def __init__(self, request):
        import torch

        self.torch = torch
        torch.set_num_threads(request["threads"])
        self.model = gpt2(request["folder"])
        self.loss = torch.compile(self.model) if request["mode"] == "compile" else self.model
        self.bf16 = request["mode"] == "bf16"
        self.ids = torch.tensor(request["ids"]).view(request["sequences"], request["length"])
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01, fused=True)

    def describe(self):
        return {"parameters": sum(parameter.numel() for parameter in self.model.parameters())}

    def run(self):
        self.optimizer.zero_grad(set_to_none=True)
        with self.torch.autocast("cpu", dtype=self.torch.bfloat16) if self.bf16 else contextlib.nullcontext():
            loss = self.loss(self.ids)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return {"loss": float(loss.detach())}


class Embed:
    """Tokenizer, model, mean over the tokens, length 1; texts of like length together."""

    def __init__(self, request):
        self.texts, self.batch = request["texts"], request["batch"]
        self.encode = {"onnxruntime": self.onnxruntime, "sentence-transformers": self.sentence_transformers}[request["with"]](request)

    def describe(self):
        return {"texts": len(self.texts)}

    def run(self):
        return {"first": [float(value) for value in self.encode()[0]]}

    def sentence_transformers(self, request):
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(request["threads"])
        model = SentenceTransformer(request["path"], device="cpu")
        return lambda: model.encode(self.texts, batch_size=self.batch, show_progress_bar=False)

    def onnxruntime(self, request):
        import numpy
        import onnxruntime
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(f"{request['path']}/tokenizer.json")
        tokenizer.enable_truncation(256)
        tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = request["threads"]
        session = onnxruntime.InferenceSession(request["onnx"], options, providers=["CPUExecutionProvider"])

        def encode():
            order = sorted(range(len(self.texts)), key=lambda at: -len(self.texts[at]))
            rows = numpy.empty((len(self.texts), 384), dtype=numpy.float32)
            for start in range(0, len(order), self.batch):
                chosen = order[start : start + self.batch]
                found = tokenizer.encode_batch([self.texts[at] for at in chosen])
                feed = {
                    "input_ids": numpy.array([one.ids for one in found], dtype=numpy.int64),
                    "attention_mask": numpy.array([one.attention_mask for one in found], dtype=numpy.int64),
                }
                rows[chosen] = session.run(None, feed)[0]
            return rows

        return encode


def export_onnx(path, target):
    """The encoder with its pooling as one ONNX graph in f32."""
    import torch
    from transformers import AutoModel

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModel.from_pretrained(path, attn_implementation="eager", dtype=torch.float32).eval()

        def forward(self, input_ids, attention_mask):
            hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask.unsqueeze(-1).float()
            return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9), dim=-1)

    example = (torch.full((2, 9), 2000), torch.ones(2, 9, dtype=torch.long))
    size = {0: torch.export.Dim("texts", min=1, max=4096), 1: torch.export.Dim("tokens", min=1, max=512)}
    torch.onnx.export(
        Pooled().eval(), example, target, input_names=["input_ids", "attention_mask"], output_names=["pooled"],
        dynamic_shapes=(size, size), dynamo=True, external_data=False,
    )  # fmt: skip


class Generate:
    """Greedy, one row, with the cache."""

    def __init__(self, request):
        import torch
        from transformers import AutoModelForCausalLM

        self.torch = torch
        torch.set_num_threads(request["threads"])
        self.model = AutoModelForCausalLM.from_pretrained(request["folder"]).eval()
        self.prompt = torch.tensor([request["prompt"]])
        self.tokens = request["tokens"]

    def describe(self):
        return {"parameters": self.model.num_parameters()}

    def run(self):
        made = self.model.generate(
            self.prompt, attention_mask=self.torch.ones_like(self.prompt), max_new_tokens=self.tokens, min_new_tokens=self.tokens,
            do_sample=False, use_cache=True, pad_token_id=0, eos_token_id=None,
        )  # fmt: skip
        return {"ids": made[0, self.prompt.shape[1] :].tolist()}


JOBS = {"step": Step, "embed": Embed, "generate": Generate} | their_adapters.JOBS

if __name__ == "__main__":
    if sys.argv[1:2] == ["--export-onnx"]:
        export_onnx(*sys.argv[2:4])
    else:
        main()
