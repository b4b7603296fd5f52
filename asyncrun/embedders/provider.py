"""What is known about a provider of embeddings: a row of data, and what it says about one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from asyncrun.batching.pack import BatchLimits

Dialect = Literal["openai", "cohere", "gemini", "tei", "isaacus", "ollama"]
OverLength = Literal["refuses", "cuts in silence", "cuts unless told otherwise", "depends on the server", "not known"]


@dataclass(frozen=True, slots=True)
class InputTypes:
    """The field of a request that says what a text is, and the provider's words for documents and for queries (None: none by itself)."""

    field: str = "input_type"
    document: str | None = None
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """One row of the table.

    Attributes:
        name: As the job file writes it.
        title: As people write it.
        dialect: How requests are written and replies are read.
        path: Where requests go, behind the address; `{model}` stands for the model.
        base_url: The address; None: there is none that all share.
        addresses: Environment variables that carry the address instead.
        own_hosts: Endings of the hosts that are the provider's besides.
        key_addresses: Addresses by how a key begins.
        keys: Environment variables that carry the key; read for the provider's own addresses only.
        auth: The header of the key; `authorization` carries it as a bearer's.
        needs_key: Whether nothing can be sent to the provider's own address without a key.
        self_hosted: Whether the same model name may mean another model at another address: the host is then a part of the space.
        model: The model when none is named; `models` are environment variables that carry it.
        needs_model: Whether a request must name a model.
        batch: How much one request may carry.
        input_tokens: The longest text in tokens, by patterns of model names, the first that fits.
        input_characters: The longest text in characters.
        input_types: How documents and queries are told apart; `untyped` are patterns of models that do not know it.
        dimensions: The field that asks for a number of dimensions; None: there is none.
        over_length: What becomes of a text that is too long when nothing is said.
        refuse: What is put into a request so that a too long text is refused.
        cut: What is put into it so that a too long text is cut; empty: there is no such switch.
        base64: Whether vectors are asked for in base64 (what does not know it is found out by the first request).
        mixing: Switches of `extra_body` that let the texts of one request have a part in each other's vectors.
        echoes_model: Whether a reply names the model as the request did.
        note: A sentence for the page about providers.
    """

    name: str
    title: str
    dialect: Dialect = "openai"
    path: str = "/embeddings"
    base_url: str | None = None
    addresses: tuple[str, ...] = ()
    own_hosts: tuple[str, ...] = ()
    key_addresses: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()
    auth: str = "authorization"
    needs_key: bool = True
    self_hosted: bool = False
    model: str | None = None
    models: tuple[str, ...] = ()
    needs_model: bool = True
    batch: BatchLimits = field(default_factory=BatchLimits)
    input_tokens: tuple[tuple[str, int], ...] = ()
    input_characters: int | None = None
    input_types: InputTypes = field(default_factory=InputTypes)
    untyped: tuple[str, ...] = ()
    dimensions: str | None = "dimensions"
    over_length: OverLength = "refuses"
    refuse: Mapping[str, object] = field(default_factory=dict)
    cut: Mapping[str, object] = field(default_factory=dict)
    base64: bool = True
    mixing: tuple[str, ...] = ()
    echoes_model: bool = True
    note: str = ""

    def max_input_tokens(self, model: str) -> int | None:
        """Return the longest text that a model takes, in tokens; None when it is not known.

        >>> Provider("x", "X", input_tokens=(("big-*", 8192), ("*", 512))).max_input_tokens("big-1")
        8192
        """
        return next((tokens for pattern, tokens in self.input_tokens if fnmatchcase(model, pattern)), None)

    def knows_input_types(self, model: str) -> bool:
        """Say whether a model tells documents and queries apart."""
        return not any(fnmatchcase(model, pattern) for pattern in self.untyped)
