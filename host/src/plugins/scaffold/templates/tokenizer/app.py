"""The tokenizer `{{name}}`: one token a byte, and one that ends a text. Nothing to train, and every text comes back.

What crosses the border is here; the tokens are in `byte_level.py`. It never sees a path: the host reads and writes its files.
Numbers cross packed, little-endian, one behind the other."""

import json
import struct

import byte_level
from byte_level import END
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import (
    EncodeOptions,
    Encoding,
    Error,
    ErrorKind,
    File,
    Ids,
    SpecialTokens,
    Texts,
    VocabularyInfo,
)


def fail(kind: ErrorKind, message: str) -> Err:
    return Err(Error(kind, message, None, []))


def token_bytes(id: int) -> bytes:
    if id > END:
        raise fail(ErrorKind.DATA, f"id {id} is not in the vocabulary of {END + 1}")
    return byte_level.token_bytes(id)


def parts(packed: memoryview, offsets: bytes) -> list[memoryview]:
    """The parts between offsets."""
    at = memoryview(offsets).cast("Q")
    return [packed[start:end] for start, end in zip(at, at[1:])]


def pack(texts: list[bytes]) -> Texts:
    offsets = [0]
    for text in texts:
        offsets.append(offsets[-1] + len(text))
    return Texts(b"".join(texts), struct.pack(f"<{len(offsets)}Q", *offsets))


class Tokenizer(exports.Tokenizer):
    def create(self, name: str, config: str, files: list[File]) -> None:
        """`files` are those of the folder that the configuration's `path` names; none without one."""
        path = json.loads(config).get("path")
        saved = [file.content for file in files if file.name == "tokenizer.json"]
        if path and (not saved or json.loads(saved[0]) != byte_level.tokenizer_json()):
            raise fail(ErrorKind.DATA, f"{path} holds no tokenizer.json of this tokenizer")

    def vocabulary(self) -> VocabularyInfo:
        special = SpecialTokens(bos=END, eos=END, pad=None, unk=None, cls=None, sep=None, mask=None)
        return VocabularyInfo(size=END + 1, special=special, lossless=True, fingerprint="{{name}}-1")

    def encode(self, texts: Texts, options: EncodeOptions) -> Encoding:
        ids, spans, offsets = [], [], [0]
        for text in parts(memoryview(texts.bytes), texts.offsets):
            for id, start, end in byte_level.tokens(bytes(text), options.parse_special_tokens)[: options.max_length or None]:
                ids.append(id)
                if options.byte_offsets:
                    spans += [start, end]
            offsets.append(len(ids))
        sequences = Ids(struct.pack(f"<{len(ids)}I", *ids), struct.pack(f"<{len(offsets)}Q", *offsets))
        return Encoding(sequences, struct.pack(f"<{len(spans)}I", *spans))

    def decode(self, sequences: Ids, skip_special_tokens: bool) -> Texts:
        end = b"" if skip_special_tokens else byte_level.END_TEXT.encode()
        texts = []
        for ids in parts(memoryview(sequences.ids).cast("I"), sequences.offsets):
            text = b"".join(end if id == END else token_bytes(id) for id in ids)
            texts.append(text.decode("utf-8", "replace").encode())
        return pack(texts)

    def token_bytes(self, ids: bytes) -> Texts:
        return pack([token_bytes(id) for id in memoryview(ids).cast("I")])

    def token_texts(self, ids: bytes) -> list[str | None]:
        return [byte_level.token_text(id) for id in memoryview(ids).cast("I")]

    def token_id(self, token: str) -> int | None:
        return byte_level.token_id(token)

    def save(self) -> list[File]:
        return [File("tokenizer.json", json.dumps(byte_level.tokenizer_json()).encode())]

    def feed(self, texts: Texts) -> None:
        raise fail(ErrorKind.UNSUPPORTED, "{{name}} has nothing to learn")

    def finish_training(self) -> None:
        raise fail(ErrorKind.UNSUPPORTED, "{{name}} has nothing to learn")
