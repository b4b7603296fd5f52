"""The arguments of LlamaIndex's embedding classes in our words: a table, one row a name, that renames, converts or refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from asyncrun.aio.limits import Limits
from asyncrun.aio.retry import RetryPolicy
from asyncrun.errors import ArgumentError


class LlamaIndexArguments(TypedDict, total=False):
    """What LlamaIndex's classes take beside what ours do; what each means here stands in the table below."""

    model_name: str
    deployment_name: str
    azure_deployment: str
    api_base: str
    azure_endpoint: str
    auth_token: str
    token: str
    cohere_api_key: str
    voyage_api_key: str
    embed_batch_size: int
    num_workers: int
    max_retries: int
    retries: int
    retry_min_seconds: float
    retry_max_seconds: float
    retry_exponential_base: float
    rate_limiter: Any
    default_headers: Mapping[str, str]
    additional_kwargs: Mapping[str, Any]
    ollama_additional_kwargs: Mapping[str, Any]
    output_dimension: int
    embedding_config: Any
    task: str
    overflow_strategy: str
    truncate: str
    truncation: bool
    truncate_text: bool
    text_instruction: str
    query_instruction: str
    late_chunking: bool
    keep_alive: float | str
    mode: str
    reuse_client: bool
    embedding_type: str
    output_dtype: str
    encoding_queries: str
    encoding_documents: str
    embeddings_cache: Any
    http_client: Any
    async_http_client: Any
    httpx_client: Any
    httpx_async_client: Any
    client_kwargs: Any
    http_options: Any
    debug_config: Any
    azure_ad_token_provider: Any
    use_azure_ad: bool
    vertexai_config: Any
    pooling: Any
    cookies: Any
    endpoint: str


BY_POSITION: Mapping[str, Sequence[str]] = {
    "heroku": ("api_key", "base_url", "timeout", "embed_batch_size", "callback_manager"),
    "isaacus": ("api_key", "base_url", "dimensions", "task", "overflow_strategy", "timeout", "embed_batch_size", "callback_manager"),
    "voyage": ("voyage_api_key", "embed_batch_size", "truncation", "output_dtype", "output_dimension", "callback_manager"),
    "jina": (
        *("embed_batch_size", "api_key", "callback_manager", "encoding_queries", "encoding_documents"),
        *("task", "dimensions", "late_chunking"),
    ),
    "mistral": ("api_key", "embed_batch_size", "callback_manager"),
    "gemini": (
        *("api_key", "embedding_config", "vertexai_config", "http_options", "debug_config", "embed_batch_size", "callback_manager"),
        *("retries", "timeout", "retry_min_seconds", "retry_max_seconds", "retry_exponential_base"),
    ),
    "ollama": (
        *("base_url", "embed_batch_size", "ollama_additional_kwargs", "query_instruction", "text_instruction"),
        *("callback_manager", "client_kwargs", "keep_alive"),
    ),
    "tei": (
        *("base_url", "text_instruction", "query_instruction", "embed_batch_size", "timeout", "truncate_text"),
        *("callback_manager", "auth_token", "endpoint"),
    ),
}
"""What may follow the model by position, by providers, where LlamaIndex's class has the model first, too."""
_FIRST_THERE = {"cohere": "a key", "openai": "a mode", "azure": "a mode"}
_MODES = ("text_search", "similarity")
_KEY = 32
"""Letters and digits without anything between them, so many or more, are no model's name."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """No word of ours, but for values that ask for what is done anyway; `instead` says what there is."""

    instead: str
    harmless: tuple[object, ...] = ()

    def __call__(self, value: Any) -> Mapping[str, Any]:
        # Not `in`: True is 1.
        if any(value is each or (type(value) is type(each) and value == each) for each in self.harmless):
            return {}
        raise ArgumentError(self.instead, hint=_HINT)


_HINT = "See docs/library.md for what LlamaIndex's arguments are called here."
_CLIENT = _Refused("connections are made here: use timeout, headers and http2", harmless=({},))
_AZURE_TOKEN = _Refused("a token of Azure AD goes in as headers={'Authorization': 'Bearer ...'}", harmless=(False,))
_FLOATS = _Refused("vectors are numbers of 32 bits here: leave it out", harmless=("float",))


def _named(ours: str) -> Callable[[Any], Mapping[str, Any]]:
    return lambda value: {ours: value}


def _chosen(choices: Mapping[Any, str], takes: str) -> Callable[[Any], Mapping[str, Any]]:
    def convert(value: Any) -> Mapping[str, Any]:
        if value not in choices:
            raise ArgumentError(f"what is too long can fail, be cut at its end, or be split: {takes}", hint="on_too_long says which.")
        return {"on_too_long": choices[value]}

    return convert


def _key(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, str):
        raise ArgumentError("a key is a text: call what makes it, and give what it returns as api_key", hint=_HINT)
    return {"api_key": value}


def _limits(limiter: Any) -> Mapping[str, Any]:
    rates = {name: getattr(limiter, name, None) for name in ("requests_per_minute", "tokens_per_minute")}
    if not any(rates.values()):
        raise ArgumentError("a rate_limiter is read for its requests_per_minute and tokens_per_minute: use limits=Limits(...)", hint=_HINT)
    return {"limits": rates}


def _config(config: Any) -> Mapping[str, Any]:
    """Return what Gemini's `embedding_config` says, a mapping or an object."""
    told = config if isinstance(config, Mapping) else vars(config)
    told = {name: value for name, value in told.items() if value is not None}
    # LlamaIndex puts a word of its own in the place of `task_type`.
    if unknown := told.keys() - {"output_dimensionality", "task_type"}:
        raise ArgumentError(f"embedding_config.{min(unknown)} has no word here: extra_body is merged into the request", hint=_HINT)
    return {"dimensions": told["output_dimensionality"]} if "output_dimensionality" in told else {}


def _prefix(ours: str, strip: Callable[[str], str]) -> Callable[[str], Mapping[str, Any]]:
    return lambda words: {ours: f"{strip(words)} "} if words.strip() else {}


_ROWS: Mapping[str, Callable[[Any], Mapping[str, Any]]] = {
    "model_name": _named("model"),
    "deployment_name": _named("deployment"),
    "azure_deployment": _named("deployment"),
    "api_base": _named("base_url"),
    "azure_endpoint": _named("base_url"),
    "auth_token": _key,
    "token": _key,
    "cohere_api_key": _key,
    "voyage_api_key": _key,
    "embed_batch_size": _named("max_items"),
    "num_workers": lambda number: {"limits": {"concurrency": number}},
    "max_retries": lambda number: {"retry": {"attempts": number + 1}},
    "retries": lambda number: {"retry": {"attempts": number + 1}},
    # Theirs waits the least before the first retry, ours up to twice the base.
    "retry_min_seconds": lambda seconds: {"retry": {"base": seconds / 2}},
    "retry_max_seconds": lambda seconds: {"retry": {"max_backoff": seconds}},
    "retry_exponential_base": _Refused("a backoff doubles each time: leave retry_exponential_base out", harmless=(2, 2.0)),
    "rate_limiter": _limits,
    "default_headers": _named("headers"),
    "additional_kwargs": _named("extra_body"),
    "ollama_additional_kwargs": lambda options: {"extra_body": {"options": dict(options)}} if options else {},
    "output_dimension": _named("dimensions"),
    "gemini.embedding_config": _config,
    "isaacus.task": lambda word: {} if word == "retrieval/document" else {"input_type": word},
    "jina.task": _named("input_type"),
    "huggingface.task": _Refused("a model is asked by its name: leave task out", harmless=("feature-extraction",)),
    "overflow_strategy": _chosen({"drop_end": "truncate"}, "overflow_strategy is 'drop_end' or None"),
    "truncate": _chosen({"END": "truncate", "NONE": "fail"}, "truncate is 'END' or 'NONE'"),
    "truncation": _chosen({True: "truncate", False: "fail"}, "truncation is True or False"),
    "truncate_text": _chosen({True: "truncate", False: "fail"}, "truncate_text is True or False"),
    "text_instruction": _prefix("document_prefix", str.lstrip),
    "query_instruction": _prefix("query_prefix", str.lstrip),
    "ollama.text_instruction": _prefix("document_prefix", str.strip),
    "ollama.query_instruction": _prefix("query_prefix", str.strip),
    "late_chunking": lambda on: {"extra_body": {"late_chunking": on}},
    "keep_alive": lambda long: {"extra_body": {"keep_alive": long}},
    "mode": lambda _: {},
    "reuse_client": lambda _: {},
    "embedding_type": _FLOATS,
    "output_dtype": _FLOATS,
    "encoding_queries": _FLOATS,
    "encoding_documents": _FLOATS,
    "embeddings_cache": _Refused("vectors are kept in a ledger here: asyncrun.embed(texts, embedder, ledger=FOLDER)"),
    "http_client": _CLIENT,
    "async_http_client": _CLIENT,
    "httpx_client": _CLIENT,
    "httpx_async_client": _CLIENT,
    "client_kwargs": _CLIENT,
    "http_options": _CLIENT,
    "debug_config": _Refused("replies are not recorded here: use base_url for a server of your own"),
    "azure_ad_token_provider": _AZURE_TOKEN,
    "use_azure_ad": _AZURE_TOKEN,
    "vertexai_config": _Refused("Vertex AI is not asked here: use an api_key of the Gemini API", harmless=({},)),
    "pooling": _Refused("a vector for every token is not taken: use a model of whole texts, and leave pooling out"),
    "cookies": _Refused("cookies go in as headers={'Cookie': ...}"),
    "tei.endpoint": _Refused("requests go to /embed: base_url is what stands before it", harmless=("/embed",)),
}
_MERGED = ("limits", "retry", "headers", "extra_body")


def name_positions(provider: str, model: str | None, more: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return named arguments, and with LlamaIndex's names those that followed the model by position; without those that are None.

    >>> name_positions("heroku", "m", ["key", "https://x"], {"timeout": 5})
    {'timeout': 5, 'api_key': 'key', 'base_url': 'https://x'}

    Raises ArgumentError for what the class there has first, which is never taken for a model's name; TypeError for too many.
    """
    first = _FIRST_THERE.get(provider)
    looks_wrong = model is not None and (model in _MODES or (provider == "cohere" and len(model) >= _KEY and model.isalnum()))
    if first and (more or looks_wrong):
        raise ArgumentError(f"by position {provider} takes the model alone, not {first}", hint="Write model=..., api_key=... and so on.")
    names = BY_POSITION.get(provider, ())
    if len(more) > len(names):
        raise TypeError(f"{provider} takes at most {1 + len(names)} arguments by position, not {1 + len(more)}")
    given = {name: value for name, value in named.items() if value is not None}
    for name, value in zip(names, more, strict=False):
        if name in given:
            raise TypeError(f"got two values for the argument {name!r}")
        if value is not None:
            given[name] = value
    return given


def translate(provider: str, given: Mapping[str, Any], known: Set[str]) -> dict[str, Any]:
    """Return arguments in our words: those that are `known` as they are, and what the others mean where nothing of ours says it.

    A `deployment` and `max_items` are among them as such.

    >>> translate("cohere", {"cohere_api_key": "k", "truncate": "END", "timeout": 5}, {"timeout"})
    {'api_key': 'k', 'on_too_long': 'truncate', 'timeout': 5}

    Raises ArgumentError for what has no word here, TypeError for a name that nobody knows.
    """
    ours = {name: value for name, value in given.items() if name in known}
    meant: dict[str, Any] = {}
    for name, value in given.items():
        if name in known:
            continue
        row = _ROWS.get(f"{provider}.{name}") or _ROWS.get(name)
        if row is None:
            raise TypeError(f"unknown argument {name!r}")
        for word, part in row(value).items():
            meant[word] = {**meant.get(word, {}), **part} if word in _MERGED else part
    told = {**meant, **ours}
    for name, usual in (("retry", RetryPolicy(stop_if_unreachable=True)), ("limits", Limits())):
        if name in meant:
            told[name] = replace(ours.get(name, usual), **meant[name])
    for name in ("headers", "extra_body"):
        if name in meant:
            told[name] = {**meant[name], **ours.get(name, {})}
    return told
