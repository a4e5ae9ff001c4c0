"""Which sites of a model are adapted. Nothing here knows of WebAssembly."""

# The same words in every architecture; GPT-2 computes queries, keys and values in one map.
ROLES = ("query", "value", "query-key-value")


def choose(sites: list[tuple[str, str]]) -> list[str]:
    """The names of those (name, role) whose role is adapted."""
    return [name for name, role in sites if role in ROLES]
