"""Bytes as tokens. Nothing here knows of WebAssembly."""

# The id of the token that ends a text, and how it is written.
END = 256
END_TEXT = "<|endoftext|>"

SEEN = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
UNSEEN = [byte for byte in range(256) if byte not in SEEN]
# The character that byte-level vocabularies write a byte as: itself where it can be seen, else one from U+0100 on.
VISIBLE = [chr(byte) if byte in SEEN else chr(0x100 + UNSEEN.index(byte)) for byte in range(256)]


def tokens(text: bytes, parse: bool) -> list[tuple[int, int, int]]:
    """The tokens of a text, each with the bytes that it stands for."""
    found, at = [], 0
    while at < len(text):
        is_end = parse and text.startswith(END_TEXT.encode(), at)
        end = at + (len(END_TEXT) if is_end else 1)
        found.append((END if is_end else text[at], at, end))
        at = end
    return found


def token_bytes(id: int) -> bytes:
    return b"" if id == END else bytes([id])


def token_text(id: int) -> str | None:
    return VISIBLE[id] if id < END else END_TEXT if id == END else None


def token_id(token: str) -> int | None:
    return END if token == END_TEXT else VISIBLE.index(token) if token in VISIBLE else None


def tokenizer_json() -> dict:
    """What Hugging Face's readers open as the very same tokenizer: a byte-level BPE without merges."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False)
    vocabulary = {character: byte for byte, character in enumerate(VISIBLE)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": END, "content": END_TEXT, **flags, "special": True}],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
