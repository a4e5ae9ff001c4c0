"""Tokenizers: what codex-ml trains opens in Transformers with the same ids, and BERT's folders give the same ids here."""

import json
import pathlib

from transformers import AutoTokenizer

from table import Failed, equal
from texts import plain, varied

ROLES = ["bos", "eos", "pad", "unk", "cls", "sep", "mask"]
GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "wordpiece"


def run(codex, minilm, table):
    """All checks of this file."""
    folder = codex.work / "tokenizers"
    folder.mkdir(exist_ok=True)
    (codex.work / "plain.txt").write_text(plain(), encoding="utf-8")
    codex.example("interop", "train", codex.work / "plain.txt", folder)
    for made in sorted(path for path in folder.iterdir() if path.is_dir()):
        table.check(f"tokenizer: trained {made.name} opens in Transformers", trained, made)
    table.check("tokenizer: the real all-MiniLM-L6-v2, ids and spans", same_ids, codex, minilm, varied())
    table.check("tokenizer: the real all-MiniLM-L6-v2, texts cut to a length", same_cuts, codex, minilm, varied())
    table.check("tokenizer: the golden WordPiece cases are Transformers' own", golden)


def trained(folder):
    """A tokenizer that `examples/interop.rs` trained, with what it made of some texts."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    peer = AutoTokenizer.from_pretrained(folder)
    for text, ids, cut, decoded in zip(record["texts"], record["ids"], record["cut"], record["decoded"]):
        equal(f"ids of {text[:40]!r}", ids, peer(text, add_special_tokens=False)["input_ids"])
        equal(f"ids of {text[:40]!r} cut", cut, peer(text, truncation=True, max_length=32)["input_ids"])
        equal(f"decoded ids of {text[:40]!r}", decoded, peer.decode(ids, clean_up_tokenization_spaces=False))
    for role in ROLES:
        equal(f"{role}_token", record["special"][role], getattr(peer, f"{role}_token_id"))
    return f"{type(peer).__name__}, {len(peer)} tokens, {len(record['texts'])} texts"


def ours(codex, folder, texts, max_length=0):
    """Ids with special tokens, and byte spans."""
    request = {"texts": texts, "max_length": max_length}
    return json.loads(codex.example("interop", "encode", folder, stdin=json.dumps(request)))


def same_ids(codex, folder, texts):
    """Neither cut nor padded, whatever tokenizer.json says of truncation and padding."""
    peer = AutoTokenizer.from_pretrained(folder)
    raw = json.loads((pathlib.Path(folder) / "tokenizer.json").read_text(encoding="utf-8"))
    found = ours(codex, folder, texts)
    for text, ids, spans in zip(texts, found["ids"], found["spans"]):
        theirs = peer(text, return_offsets_mapping=True, truncation=False, padding=False, verbose=False)
        equal(f"ids of {text[:60]!r}", ids, theirs["input_ids"])
        # Theirs count characters, ours bytes.
        at = [0]
        for character in text:
            at.append(at[-1] + len(character.encode("utf-8")))
        expected = [[at[start], at[end]] for start, end in theirs["offset_mapping"]][1:-1]
        equal(f"spans of {text[:60]!r}", spans[1:-1], expected)
    settings = [name for name in ("truncation", "padding") if raw.get(name)]
    return f"{len(texts)} texts, {sum(map(len, found['ids']))} ids; the file itself sets {' and '.join(settings) or 'neither'}"


def same_cuts(codex, folder, texts):
    """[CLS] and [SEP] stay when a text is cut."""
    peer = AutoTokenizer.from_pretrained(folder)
    cls, sep = peer.cls_token_id, peer.sep_token_id
    for length in (3, 16, 256, 512):
        for text, ids in zip(texts, ours(codex, folder, texts, length)["ids"]):
            equal(f"ids of {text[:60]!r} cut to {length}", ids, peer(text, truncation=True, max_length=length)["input_ids"])
            if (ids[0], ids[-1]) != (cls, sep) or len(ids) > length:
                raise Failed(f"{text[:60]!r} cut to {length} is {ids[:3]}…{ids[-3:]}")
    return "3, 16, 256 and 512 ids"


def golden(write=False):
    """The cases that the Rust tests of `tokenizer-hf` read; with `write` they are made anew."""
    from transformers import BertTokenizerFast

    pieces = "a b c d e f g h i j k l m n o p q r s t u v w x y z the river garden lant harbour win over re un quiet"
    endings = "a b c d e f g h i j k l m n o p q r s t u v w x y z ern ter ing ed s ly est"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces.split(), *("##" + word for word in endings.split())]
    tokens += [*"0123456789.,!?-'()[]<>|/:;&#@", "山", "水", "東", "##京", "🦀", "ß", "й", "и", "##и"]
    tokens = list(dict.fromkeys(tokens))
    cases = {}
    for lowercase in (True, False):
        name = "uncased" if lowercase else "cased"
        peer = BertTokenizerFast(vocab={token: id for id, token in enumerate(tokens)}, do_lower_case=lowercase)
        file = json.loads(peer.backend_tokenizer.to_str())
        # As published folders have it, from the batch that their author tried last.
        file["truncation"] = {"direction": "Right", "max_length": 6, "strategy": "LongestFirst", "stride": 0}
        file["padding"] = {"strategy": {"Fixed": 6}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                           "pad_type_id": 0, "pad_token": "[PAD]"}  # fmt: skip
        texts = [text for text in varied() if len(text) < 80] + ["the quiet [SEP] river", "山水東京 river🦀", "Überwintering"]
        rows = [{"text": text, "ids": peer(text)["input_ids"], "cut": peer(text, truncation=True, max_length=7)["input_ids"]} for text in texts]
        cases[name] = {"tokenizer.json": file, "max_length": 7, "cases": rows}
    for name, case in cases.items():
        path = GOLDEN / f"{name}.json"
        text = json.dumps(case, ensure_ascii=True, separators=(",", ":")) + "\n"
        if write:
            GOLDEN.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif json.loads(path.read_text(encoding="utf-8")) != json.loads(text):
            raise Failed(f"{path} is not what Transformers makes: run.py --write-golden")
    return f"{sum(len(case['cases']) for case in cases.values())} texts"
