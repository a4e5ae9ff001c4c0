"""Reference values of how a token is chosen, made by Transformers' own logits processors and warpers.

Writes sampling.json beside this file: for each case the logits, the ids of the text so far, the settings, and the
probability of every token after all of them (0 where a token was left out). `generate` puts them together itself, so
that their order is Transformers', too.

    python make_sampling.py        needs torch and transformers 5
"""

import itertools
import json
from pathlib import Path

import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

SETTINGS = {
    "temperature": [0.6, 1.0, 1.7],
    "top_k": [0, 5],
    "top_p": [1.0, 0.8],
    "min_p": [0.0, 0.1],
    "repetition_penalty": [1.0, 1.3],
}


def main() -> None:
    torch.manual_seed(7)
    vocabulary = 24
    model = GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, n_embd=8, n_layer=1, n_head=1, n_positions=16))
    cases = []
    for values in itertools.product(*SETTINGS.values()):
        settings = dict(zip(SETTINGS, values))
        logits = (2.0 * torch.randn(1, vocabulary)).float()
        ids = torch.randint(0, vocabulary, (1, 9))
        config = GenerationConfig(do_sample=True, **settings)
        processors = model._get_logits_processor(generation_config=config, input_ids_seq_length=ids.shape[1])
        probabilities = processors(ids, logits.clone()).double().softmax(-1)[0]
        cases.append(
            settings
            | {
                "ids": ids[0].tolist(),
                "logits": logits[0].tolist(),
                "probabilities": probabilities.tolist(),
            }
        )
    # What is left out after all of them must differ from case to case, or the cases show nothing.
    assert len({sum(p > 0 for p in case["probabilities"]) for case in cases}) > 6
    lines = ",\n".join(json.dumps(case) for case in cases)
    Path(__file__).with_name("sampling.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
