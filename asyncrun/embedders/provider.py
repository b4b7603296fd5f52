"""What is known about a provider of embeddings: a row of data, and what it says about one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from asyncrun.batching.pack import BatchLimits
from asyncrun.endpoints.vendors import Vendor

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
        vendor: Who is asked, and with which key.
        dialect: How requests are written and replies are read.
        path: Where requests go, behind the address; `{model}` stands for the model.
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

    vendor: Vendor
    dialect: Dialect = "openai"
    path: str = "/embeddings"
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

        >>> Provider(Vendor("x", "X"), input_tokens=(("big-*", 8192), ("*", 512))).max_input_tokens("big-1")
        8192
        """
        return next((tokens for pattern, tokens in self.input_tokens if fnmatchcase(model, pattern)), None)

    def knows_input_types(self, model: str) -> bool:
        """Say whether a model tells documents and queries apart."""
        return not any(fnmatchcase(model, pattern) for pattern in self.untyped)
