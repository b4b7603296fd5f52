"""The table of providers: what differs between them is data. Limits are those of November 2026; vendors change them.

Sources are the vendors' own clients, schemas and pages, and what users report of their servers' answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from asyncrun.batching.pack import BatchLimits
from asyncrun.embedders.provider import InputTypes, Provider
from asyncrun.endpoints import vendors

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
