"""Compares the tokenizers that `examples/interop.rs` wrote with what Transformers makes of the same folders.

    cargo run --release -p codex-plugin-tokenizer-hf --example interop -- TEXT_FILE FOLDER
    python tests/interop/tokenizer_hf.py FOLDER          (needs: pip install transformers)
"""

import json
import pathlib
import sys

from transformers import AutoTokenizer

ROLES = ["bos", "eos", "pad", "unk", "cls", "sep", "mask"]
wrong = 0
for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    record = json.loads((folder / "record.json").read_text())
    peer = AutoTokenizer.from_pretrained(folder)
    counts = dict.fromkeys(["ids", "cut", "decoded", "special"], 0)
    for text, ids, cut, decoded in zip(record["texts"], record["ids"], record["cut"], record["decoded"]):
        counts["ids"] += peer(text, add_special_tokens=False)["input_ids"] != ids
        counts["cut"] += peer(text, truncation=True, max_length=32)["input_ids"] != cut
        counts["decoded"] += peer.decode(ids, clean_up_tokenization_spaces=False) != decoded
    for role in ROLES:
        counts["special"] += getattr(peer, f"{role}_token_id") != record["special"][role]
    names = list(peer("x"))
    print(folder.name, type(peer).__name__, len(peer), "tokens,", len(record["texts"]), "texts, inputs", names, "differ:", counts)
    wrong += sum(counts.values())
sys.exit(wrong > 0)
