"""PEFT's side of the rows about adapters: training steps of LoRA on PyTorch. The protocol is that of their_jobs.py."""

import time


class LoraStep:
    """Forward, backward, clipping, fused AdamW on the adapter alone. Base and adapter are those that codex-ml saved."""

    def __init__(self, request):
        import torch
        from peft import PeftModel

        self.torch = torch
        torch.set_num_threads(request["threads"])
        self.model = PeftModel.from_pretrained(self.base(request["base"]), request["adapter"], is_trainable=True)
        self.model.train()
        self.trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.ids = torch.tensor(request["ids"]).view(request["sequences"], request["length"])
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01, fused=True)

    def describe(self):
        return {
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "trained": sum(parameter.numel() for parameter in self.trained),
        }

    def run(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        return {"loss": float(loss.detach())}


class LoraLanguageModel(LoraStep):
    """Causal language modelling."""

    @staticmethod
    def base(folder):
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa")

    def loss(self):
        return self.model(input_ids=self.ids, labels=self.ids).loss


class LoraPairs(LoraStep):
    """Sentence embeddings: the second half of the rows are the positives of the first, all others their negatives."""

    @staticmethod
    def base(folder):
        from transformers import AutoModel

        # Only what a sentence embedding needs, as codex-ml opens it.
        return AutoModel.from_pretrained(folder, attn_implementation="sdpa", add_pooling_layer=False)

    def loss(self):
        functional = self.torch.nn.functional
        hidden = self.model(input_ids=self.ids, attention_mask=self.torch.ones_like(self.ids)).last_hidden_state
        anchors, positives = functional.normalize(hidden.mean(1), dim=-1).chunk(2)
        return functional.cross_entropy(20.0 * anchors @ positives.T, self.torch.arange(len(anchors)))


class Adapter:
    """Loading an adapter and merging it, each time into a model that was just read."""

    def __init__(self, request):
        import torch

        self.torch = torch
        torch.set_num_threads(request["threads"])
        self.base, self.adapter = request["base"], request["folder"]
        self.ids = torch.tensor([request["ids"]])

    def describe(self):
        return {}

    def logits(self, model):
        with self.torch.no_grad():
            return model(input_ids=self.ids).logits[0, -1]

    def run(self):
        from peft import PeftModel

        base = LoraLanguageModel.base(self.base).eval()
        begun = time.perf_counter()
        model = PeftModel.from_pretrained(base, self.adapter).eval()
        load = time.perf_counter() - begun
        beside = self.logits(model)
        begun = time.perf_counter()
        model.merge_adapter()
        merge = time.perf_counter() - begun
        change = (self.logits(model) - beside).abs().max()
        return {"load": load, "merge": merge, "change": float(change), "logits": beside[:8].tolist()}


JOBS = {"adapter": Adapter, "lora-lm": LoraLanguageModel, "lora-pairs": LoraPairs}
