"""What the job file's language has and this version does not: one row a feature; whoever builds one deletes its row."""

from __future__ import annotations

from pathlib import PurePath

from asyncrun import registry
from asyncrun.jobfile.findings import Findings, near
from asyncrun.jobfile.tree import Node, Path, Scalar, children, matching

PLANNED: dict[str, tuple[str, ...]] = {
    "kinds": ("embed", "ingest", "query"),
    "embedders": (
        *("local", "openai", "azure", "cohere", "voyage", "jina", "mistral", "gemini", "isaacus", "heroku", "ollama", "tei", "huggingface"),
        *("vllm", "llamacpp", "infinity", "lmstudio", "litellm", "llama-index"),
    ),
    "stores": ("sqlite", "lancedb", "pgvector", "qdrant"),
    "readers": ("text", "lines", "jsonl", "csv", "tsv", "parquet", "markdown", "html", "pdf", "docx"),
    "chunkers": ("sentence", "token", "markdown", "none"),
    "writers": ("jsonl", "parquet", "csv", "npy"),
}
"""The names of the language, by port; one that the registry does not know is not built yet."""

ENDINGS = {
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "text", ".text": "text", ".md": "markdown", ".markdown": "markdown"},
    **{".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".html": "html", ".htm": "html", ".pdf": "pdf", ".docx": "docx"},
}
"""Format of an input by the ending of its name, after the ending of a compression."""
COMPRESSIONS = (".gz", ".bz2", ".xz")

_EMBEDDER_KEYS = {
    "endpoints": "a choice of endpoints",
    "tokenizer": "a tokenizer by name",
    "options": "a table of options for an adapter",
    "params": "a query string",
    "api_version": "a version of the API",
}
_JOB_KEYS = {
    "llm": "answering from the hits",
    "prompt": "answering from the hits",
    "context_tokens": "answering from the hits",
    "budget": "a budget",
    "notify": "notifying",
}
KEYS: dict[Path, str] = {
    ("notify",): "notifying",
    **{("jobs", "*", key): what for key, what in _JOB_KEYS.items()},
    **{("defaults", key): what for key, what in _JOB_KEYS.items()},
    **{(*above, key): what for above in (("embedders", "*"), ("jobs", "*", "embedder")) for key, what in _EMBEDDER_KEYS.items()},
}
"""Keys that are not built, and what they are for."""

VALUES: dict[Path, dict[str, str]] = {
    ("trace", "text"): dict.fromkeys(("true", "True", "TRUE"), "storing the texts of items"),
    ("executor", "type"): {"ray": "running jobs on Ray"},
    ("jobs", "*", "on_new_space"): {"rebuild": "filling a twin of a collection"},
    ("defaults", "on_new_space"): {"rebuild": "filling a twin of a collection"},
}
"""Values that are not built, and what they are for."""


def note_later(findings: Findings) -> None:
    """Add a gap for every key and value of the file that is not built yet; an empty one asks for nothing."""
    for pattern, what in KEYS.items():
        for path, node in matching(findings.root, pattern):
            if not _empty(node):
                findings.add_gap("part", path, f"{what} is not in this version yet", key=True)
    for pattern, words in VALUES.items():
        for path, node in matching(findings.root, pattern):
            if isinstance(node, Scalar) and node.text in words:
                findings.add_gap("part", path, f"{words[node.text]} is not in this version yet")


class Names:
    """The names that a port knows: what is built, what is installed, what is planned."""

    def __init__(self) -> None:
        self._built: dict[str, list[str]] = {}

    def built(self, port: str) -> list[str]:
        """Return the names that can be used."""
        if port not in self._built:
            self._built[port] = registry.names(port)  # Looks at every installed package: once is enough.
        return self._built[port]

    def plugins(self, port: str) -> list[str]:
        """Return the names that installed plugins bring."""
        return [name for name in self.built(port) if name not in registry.BUILT_IN.get(port, {})]

    def check(self, port: str, word: str, value: str, path: Path, findings: Findings, *, extra: tuple[str, ...] = ()) -> bool:
        """Tell whether a name can be used; if not, the findings say why. `word` is what such a name is called."""
        if value in extra or value in registry.BUILT_IN[port]:
            return True  # Without a look at the installed plugins, which costs milliseconds.
        built = [*extra, *self.built(port)]
        if value in built:
            return True
        allowed = ", ".join(built)
        if port == "embedders":
            allowed += " (openai with base_url for any compatible server)"
        if value in PLANNED[port]:
            findings.add_gap("part", path, f"the {word} {value} is not in this version yet", allowed)
        elif not findings.knows(path):
            findings.add(path, f"unknown {word}{findings.quoted(path)}", allowed, near(value, built))
        return False


def format_of(path: str) -> str | None:
    """Return the format that an input's ending names, None for an unknown ending.

    >>> format_of("notes.JSONL.gz"), format_of("notes")
    ('jsonl', None)
    """
    endings = [ending.lower() for ending in PurePath(path).suffixes]
    if endings and endings[-1] in COMPRESSIONS:
        endings.pop()
    return ENDINGS.get(endings[-1]) if endings else None


def _empty(node: Node) -> bool:
    if isinstance(node, Scalar):
        return node.plain and node.text in ("", "~", "null")
    return not any(True for _ in children(node))
