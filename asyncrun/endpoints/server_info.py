"""What a server says of itself when it is asked: its models, how much it takes at once, how long a text may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What is known of a server; None: it does not say. `max_input_tokens` is the longest text, `cuts` whether it cuts longer ones."""

    models: tuple[str, ...] | None = None
    max_items: int | None = None
    max_input_tokens: int | None = None
    cuts: bool | None = None

    def has_model(self, model: str) -> bool | None:
        """Say whether a model is among those that the server has, None when that is not known.

        >>> ServerInfo(("models/gemini-embedding-001", "bge-m3:latest")).has_model("bge-m3")
        True
        """
        if self.models is None:
            return None
        return model in {
            name for listed in self.models for name in (listed, listed.removeprefix("models/"), listed.removesuffix(":latest"))
        }


def sibling_url(url: str, path: str, other: str) -> str:
    """Return the address that `other` has where `path` is the end of an address; its query string stays behind.

    >>> sibling_url("http://host/v1/embeddings?a=b", "/embeddings", "/models")
    'http://host/v1/models'
    """
    bare = urlsplit(url)._replace(query="", fragment="").geturl()
    return bare.removesuffix(path) + other


def read_server_info(document: Any) -> ServerInfo | None:
    """Return what a decoded reply says, whatever its shape: a list of models, what Text Embeddings Inference or Ollama say of one.

    >>> read_server_info({"model_id": "m", "max_client_batch_size": 32, "max_input_length": 512, "auto_truncate": False})
    ServerInfo(models=('m',), max_items=32, max_input_tokens=512, cuts=False)
    """
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("model_id"), str):
        cuts = document.get("auto_truncate")
        most, longest = _positive(document.get("max_client_batch_size")), _positive(document.get("max_input_length"))
        return ServerInfo((document["model_id"],), most, longest, cuts if isinstance(cuts, bool) else None)
    if isinstance(about := document.get("model_info"), dict):
        lengths = (_positive(value) for name, value in about.items() if str(name).endswith(".context_length"))
        return ServerInfo(max_input_tokens=next(lengths, None))
    listed = document.get("data", document.get("models"))
    return ServerInfo(tuple(_model_names(listed))) if isinstance(listed, list) else None


def _model_names(listed: list[Any]) -> Iterator[str]:
    for entry in listed:
        name = (entry.get("id") or entry.get("name")) if isinstance(entry, dict) else None
        if isinstance(name, str):
            yield name


def _positive(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
