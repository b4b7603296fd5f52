"""The table of providers: what differs between them is data. Limits are those of November 2026; vendors change them.

Sources are the vendors' own clients, schemas and pages, and what users report of their servers' answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Literal

from asyncrun.endpoints import vendors
from asyncrun.endpoints.address import join, with_model, with_query
from asyncrun.endpoints.vendors import Vendor
from asyncrun.packing import BatchLimits
from asyncrun.records import InputType

DialectName = Literal["openai", "cohere", "gemini", "tei", "isaacus", "ollama"]
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
        versioned_path: The same, where a version of the API is stated.
        other_form: An ending of addresses that belongs to another form of the API, and is left away.
        model_prefix: What the path has before the model already, whether the name begins with it or not.
        groups: Patterns of models that embed groups of texts, which cannot be asked for here, and `single` is one of single texts.
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
    dialect: DialectName = "openai"
    path: str = "/embeddings"
    versioned_path: str | None = None
    other_form: str = ""
    model_prefix: str = ""
    groups: tuple[str, ...] = ()
    single: str = ""
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

    def url(self, base_url: str, model: str, api_version: str | None = None) -> str:
        """Return where requests are posted.

        >>> Provider(Vendor("x", "X"), path="/embed", other_form="/v1").url("http://host/v1", "m")
        'http://host/embed'
        """
        base_url, model = base_url.removesuffix(self.other_form), model.removeprefix(self.model_prefix)
        if api_version is None or self.versioned_path is None:
            return join(base_url, with_model(self.path, model))
        return with_query(join(base_url, with_model(self.versioned_path, model)), {"api-version": api_version})

    def word(self, model: str, input_type: InputType) -> str | None:
        """Return the word for texts of this type, None where nothing is said."""
        if any(fnmatchcase(model, pattern) for pattern in self.untyped):
            return None
        return self.input_types.document if input_type is InputType.DOCUMENT else self.input_types.query

    def fields(self, word: str | None, dimensions: int | None, *, cut: bool) -> dict[str, object]:
        """Return what a request says besides texts and model, with a word for what the texts are."""
        asked = {} if dimensions is None or self.dimensions is None else {self.dimensions: dimensions}
        typed = {} if word is None else {self.input_types.field: word}
        return {**asked, **typed, **(self.cut if cut else self.refuse)}


_SEARCH = InputTypes("input_type", "search_document", "search_query")
_PROMPT = InputTypes("prompt_name")

_VENDORS = (
    Provider(
        vendors.OPENAI,
        # Its OpenAPI schema: 2,048 texts of 8,192 tokens, 300,000 tokens together.
        batch=BatchLimits(max_items=2048, max_tokens=300_000),
        input_tokens=(("*", 8192),),
    ),
    Provider(
        vendors.AZURE,
        path="/openai/v1/embeddings",
        versioned_path="/openai/deployments/{model}/embeddings",
        batch=BatchLimits(max_items=2048, max_tokens=300_000),
        input_tokens=(("*", 8192),),
        echoes_model=False,
        note="`model` is the deployment's name. With `api_version` the address is that of the deployment, without it the `v1` one.",
    ),
    Provider(
        vendors.COHERE,
        dialect="cohere",
        path="/v2/embed",
        batch=BatchLimits(max_items=96),
        input_tokens=(("embed-*-v[23].*", 512), ("*", 128_000)),
        input_types=_SEARCH,
        dimensions="output_dimension",
        over_length="cuts unless told otherwise",
        refuse={"truncate": "NONE"},
        cut={"truncate": "END"},
        base64=False,
        note="Its limit is 2,000 inputs a minute (`inputs_per_minute`).",
    ),
    Provider(
        vendors.VOYAGE,
        groups=("voyage-context-*",),
        single="voyage-4",
        # The least of its models takes 120,000 tokens in one request, the lite ones a million.
        batch=BatchLimits(max_items=1000, max_tokens=120_000),
        input_tokens=(("voyage-law-2", 16_000), ("voyage-code-2", 16_000), ("*", 32_000)),
        input_types=InputTypes("input_type", "document", "query"),
        dimensions="output_dimension",
        over_length="cuts unless told otherwise",
        refuse={"truncation": False},
        cut={"truncation": True},
        note="Keys that begin with `al-` belong to `ai.mongodb.com`. The models voyage-context-* are refused: they take groups of texts.",
    ),
    Provider(
        vendors.JINA,
        batch=BatchLimits(max_items=2048),
        input_tokens=(("*", 8192),),
        input_types=InputTypes("task", "retrieval.passage", "retrieval.query"),
        untyped=("jina-embeddings-v2*", "jina-clip-v1"),
        cut={"truncate": True},
        base64=False,
        mixing=("late_chunking",),
    ),
    Provider(
        vendors.MISTRAL,
        model="mistral-embed",
        batch=BatchLimits(max_items=512, max_tokens=16_384),
        input_tokens=(("*", 8192),),
        dimensions="output_dimension",
    ),
    Provider(
        replace(vendors.GEMINI, auth="x-goog-api-key"),
        dialect="gemini",
        path="/models/{model}:batchEmbedContents",
        model_prefix="models/",
        # The whole body may have 4,194,304 bytes; quotes and line breaks grow in JSON.
        batch=BatchLimits(max_items=100, max_bytes=3_500_000),
        input_tokens=(("gemini-embedding-001", 2048), ("gemini-embedding-2*", 8192)),
        input_types=InputTypes("taskType", "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"),
        dimensions="outputDimensionality",
        over_length="cuts in silence",
        base64=False,
        note="The key goes in a header, never in the address. There is no switch for texts that are too long.",
    ),
    Provider(
        vendors.ISAACUS,
        dialect="isaacus",
        model="kanon-2-embedder",
        batch=BatchLimits(max_items=128),
        input_tokens=(("kanon-2-embedder", 16_384),),
        input_types=InputTypes("task", "retrieval/document", "retrieval/query"),
        over_length="cuts unless told otherwise",
        refuse={"overflow_strategy": None},
        cut={"overflow_strategy": "drop_end"},
        base64=False,
    ),
    Provider(
        replace(vendors.HEROKU, addresses=("EMBEDDING_URL",), keys=("EMBEDDING_KEY",)),
        path="/v1/embeddings",
        models=("EMBEDDING_MODEL_ID",),
        batch=BatchLimits(max_items=96),
        input_characters=2048,
        input_types=_SEARCH,
        dimensions=None,
        over_length="not known",
        note="It knows the encodings `raw` and `base64`, not `float`.",
    ),
    Provider(
        vendors.HUGGINGFACE,
        dialect="tei",
        path="/hf-inference/models/{model}/pipeline/feature-extraction",
        batch=BatchLimits(max_items=32),
        input_types=_PROMPT,
        dimensions=None,
        over_length="depends on the server",
        refuse={"truncate": False},
        cut={"truncate": True},
        base64=False,
        note="Models that answer with a vector for every token are refused.",
    ),
)

_SERVERS = (
    Provider(
        vendors.OLLAMA,
        dialect="ollama",
        path="/api/embed",
        # Many have the address of its other form at hand.
        other_form="/v1",
        over_length="cuts unless told otherwise",
        refuse={"truncate": False},
        cut={"truncate": True},
        base64=False,
        note="The native form, since the other one has no switch for texts that are too long.",
    ),
    Provider(
        vendors.TEI,
        dialect="tei",
        path="/embed",
        needs_model=False,
        # Its defaults: --max-client-batch-size 32, and bodies of 2 MB.
        batch=BatchLimits(max_items=32, max_bytes=1_800_000),
        input_types=_PROMPT,
        over_length="depends on the server",
        refuse={"truncate": False},
        cut={"truncate": True},
        base64=False,
    ),
    Provider(vendors.VLLM),
    Provider(
        vendors.LLAMACPP,
        note="A text may have as many tokens as `--ubatch-size`, by default 512.",
    ),
    Provider(
        vendors.INFINITY,
        over_length="cuts in silence",
        note="It counts characters as tokens, so tokens and cost stay unknown. `base_url` ends with its `--url-prefix`.",
    ),
    Provider(vendors.LMSTUDIO, over_length="not known"),
    Provider(
        vendors.LITELLM,
        over_length="depends on the server",
        echoes_model=False,
        note="What it says a call has cost goes before `price_per_million_tokens`.",
    ),
)

PROVIDERS: Mapping[str, Provider] = {row.vendor.name: row for row in (*_VENDORS, *_SERVERS)}
"""The rows by name; `local` carries its model itself and has none."""
