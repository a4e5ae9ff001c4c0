"""Opens an exported model folder with Transformers and compares its log-probabilities with codex-ml's own.

    python tests/interop/model_folder.py CODEX_ML MODEL_FOLDER      (needs: pip install torch transformers)

CODEX_ML is the binary. Greedy continuations of some prompts must be equal token for token.
"""

import json
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

binary, folder = sys.argv[1:3]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder).eval()
wrong = 0
for prompt in ["The", "A dog", "They were", "David"]:
    command = [binary, "generate", "--model", folder, "--prompt", prompt, "--temperature", "0", "--max-new-tokens", "40", "--json"]
    ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    start = tokenizer.bos_token_id
    ids = torch.tensor([([start] if start is not None else []) + ids])
    theirs = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False, pad_token_id=0)
    text = tokenizer.decode(theirs[0, ids.shape[1]:], skip_special_tokens=True)
    same = text == ours["text"]
    wrong += not same
    print("same" if same else f"differs: {ours['text']!r} and {text!r}", "|", prompt + ours["text"][:60])
sys.exit(wrong > 0)
