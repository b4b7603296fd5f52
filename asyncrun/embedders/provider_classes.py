"""One class a provider, by the names that LlamaIndex's users know; what differs between them stands in the table of providers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Unpack, cast

from asyncrun.embedders.dialects import DIALECTS
from asyncrun.embedders.http_embedder import HttpEmbedder, HttpOptions, Service
from asyncrun.embedders.llama_index_arguments import LlamaIndexArguments, name_positions, translate
from asyncrun.embedders.providers import PROVIDERS, Provider
from asyncrun.endpoints.address import Address, Key, auth_header, check_key, find_address, keys_in_headers, with_query
from asyncrun.endpoints.endpoint import Endpoint
from asyncrun.errors import ArgumentError
from asyncrun.packing import BatchLimits
from asyncrun.ports import Tokenizer
from asyncrun.records import InputType, Space


class ProviderOptions(HttpOptions, LlamaIndexArguments, total=False):
    """The options of every embedder of a provider; what LlamaIndex's classes take besides is among them."""


class ProviderEmbedding(HttpEmbedder):
    """An embedder of a provider in the table; its classes add its name.

    Args:
        model: The provider's name of the model; left out where the provider has one to go by.
        api_key: Default: the provider's own environment variable, for the provider's own address only; elsewhere no key is sent unless it
            is given here.
        base_url: Default: the provider's, or what its environment variable says.
        dimensions: Asked for, where the model has a choice; the vectors must then have that many numbers.
        input_type: The provider's own word for what the texts are, instead of its words for documents and queries; empty: none is sent.
        space: A name of the vector space, for endpoints that give the same vectors.
        extra_body: Merged into the request's JSON.
        api_version: Of Azure's deployments.
        params: A query string; keys do not belong there.
        tokenizer: The name of one, or the path of a `tokenizer.json`.
        environ: Where environment variables are looked for; default: `os.environ`.
        more: What follows the model by position in LlamaIndex's class of this name.
        options: See `HttpOptions`; what LlamaIndex's classes take besides is understood too (`model_name`, `max_retries`, ...).

    `api_key` shows itself to nobody, `base_url` has no password in it.

    Raises ArgumentError for an address, a key or a model that cannot be used.
    """

    provider: str

    def __init__(
        self,
        model: str | None = None,
        *more: Any,
        api_key: str | None = None,
        base_url: str | None = None,
        dimensions: int | None = None,
        input_type: str | None = None,
        space: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
        api_version: str | None = None,
        params: Mapping[str, object] | None = None,
        tokenizer: str | None = None,
        environ: Mapping[str, str] | None = None,
        **options: Unpack[ProviderOptions],
    ) -> None:
        named = {"api_key": api_key, "base_url": base_url, "dimensions": dimensions, "input_type": input_type, "extra_body": extra_body}
        given = name_positions(self.provider, model, more, {**named, **options})
        told = translate(self.provider, given, named.keys() | HttpOptions.__optional_keys__)
        http = cast(HttpOptions, {name: value for name, value in told.items() if name in HttpOptions.__optional_keys__})
        row, extra = PROVIDERS[self.provider], dict(told.get("extra_body", {}))
        dimensions, input_type = told.get("dimensions"), told.get("input_type")
        # As a default of the argument `help()` would show all of it, keys included.
        environ = os.environ if environ is None else environ
        # A deployment's name goes before that of the model in it, as in LlamaIndex.
        model = str(told.get("deployment") or model or told.get("model") or _usual_model(row, environ))
        address = find_address(row.vendor, told.get("base_url"), told.get("api_key"), environ)
        url = with_query(row.url(address.base_url, model, api_version), dict(params or {}))
        endpoint = Endpoint(url, auth_header(row.vendor, address.key), http)
        self.api_key = Key(address.key)
        self.base_url = keys_in_headers(address.base_url, {})[0]
        together = any(extra.get(switch) for switch in row.mixing)
        words = {kind: row.word(model, kind) if input_type is None else input_type or None for kind in InputType}
        host = endpoint.host if row.vendor.self_hosted or not address.own else None

        super().__init__(
            Service(
                model=model,
                endpoint=endpoint,
                dialect=DIALECTS[row.dialect](
                    model,
                    {(kind, cut): row.fields(words[kind], dimensions, cut=cut) for kind in InputType for cut in (False, True)},
                    extra,
                    base64=row.base64 and "encoding_format" not in extra,
                ),
                spaces={kind: Space(self.provider, model, dimensions, words[kind], extra, host, space) for kind in InputType},
                check=partial(_check, row, model, address, list(http.get("headers", {}))),
                # Alone, a text has the same vector whatever else there is to embed, also after an interruption.
                batch=_batch(http.get("batch") or row.batch, 1 if together else told.get("max_items")),
                dimensions=dimensions,
                max_input_tokens=row.max_input_tokens(model),
                max_characters=row.input_characters,
                tokenizer=_tokenizer_of(tokenizer),
                cuts=bool(row.cut),
                together=together,
                echoes_model=row.echoes_model,
            ),
            **http,
        )

    @property
    def model(self) -> str:
        """Return the model's name."""
        return self.model_name


def _batch(batch: BatchLimits, max_items: int | None) -> BatchLimits:
    return batch if max_items is None else replace(batch, max_items=max_items)


def _tokenizer_of(name: str | None) -> Tokenizer | None:
    if name is None:
        return None
    from asyncrun.embedders.tokenizer import load_tokenizer

    return load_tokenizer(name)


def _usual_model(row: Provider, environ: Mapping[str, str]) -> str:
    told = next((value for name in row.models if (value := environ.get(name, "").strip())), row.model)
    if told is None and row.needs_model:
        names = "".join(f", or the variable {name}" for name in row.models)
        raise ArgumentError(f"{row.vendor.name} needs the name of a model", hint=f"Set model{names}.")
    return told or ""


def _check(row: Provider, model: str, address: Address, headers: Sequence[str]) -> None:
    """Raise ArgumentError when the model is one of groups of texts, or the provider's own address is meant and there is no key."""
    if any(fnmatchcase(model, pattern) for pattern in row.groups):
        hint = f"Choose a model of single texts, such as {row.single}."
        raise ArgumentError(f"{model} embeds groups of texts, which cannot be asked for here", hint=hint)
    check_key(row.vendor, address, headers)


class OpenAIEmbedding(ProviderEmbedding):
    """Embeds with OpenAI, or with any server that has its `/embeddings` (vLLM, llama.cpp, infinity, LiteLLM, ...).

    The arguments are those of `ProviderEmbedding`, here and below; the key's variable is OPENAI_API_KEY.

    >>> OpenAIEmbedding(model="m", base_url="http://localhost:8080/v1").space(InputType.DOCUMENT).host
    'localhost:8080'
    """

    provider = "openai"


class AzureOpenAIEmbedding(OpenAIEmbedding):
    """Embeds with Azure OpenAI; `model` (or `deployment_name`) is the deployment, `base_url` (or `azure_endpoint`) the resource.

    The variables are AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY.

    >>> AzureOpenAIEmbedding(deployment_name="search", azure_endpoint="https://me.openai.azure.com", api_key="a-key").served_by
    'azure/search at me.openai.azure.com'
    """

    provider = "azure"


class CohereEmbedding(ProviderEmbedding):
    """Embeds with Cohere, or with a server that has its `/v2/embed`; the key's variables are CO_API_KEY and COHERE_API_KEY.

    >>> CohereEmbedding("embed-v4.0", api_key="a-key").served_by
    'cohere/embed-v4.0 at api.cohere.com'
    """

    provider = "cohere"


class VoyageEmbedding(ProviderEmbedding):
    """Embeds with Voyage AI; the variable is VOYAGE_API_KEY.

    >>> VoyageEmbedding("voyage-3.5", api_key="a-key", dimensions=512).served_by
    'voyage/voyage-3.5 at api.voyageai.com'
    """

    provider = "voyage"


class JinaEmbedding(ProviderEmbedding):
    """Embeds with Jina AI; the variable is JINA_API_KEY.

    With `extra_body={"late_chunking": True}` the texts of one call have a part in each other's vectors, and are sent together.

    >>> JinaEmbedding("jina-embeddings-v3", api_key="a-key", extra_body={"late_chunking": True}).keeps_together
    True
    """

    provider = "jina"


class MistralAIEmbedding(ProviderEmbedding):
    """Embeds with Mistral AI; the variable is MISTRAL_API_KEY.

    >>> MistralAIEmbedding("mistral-embed", api_key="a-key").served_by
    'mistral/mistral-embed at api.mistral.ai'
    """

    provider = "mistral"


class GeminiEmbedding(ProviderEmbedding):
    """Embeds with Google's Gemini; the key's variables are GEMINI_API_KEY and GOOGLE_API_KEY.

    >>> GeminiEmbedding("gemini-embedding-001", api_key="a-key", dimensions=768).dimensions
    768
    """

    provider = "gemini"


GoogleGenAIEmbedding = GeminiEmbedding
"""What LlamaIndex calls it by today; its `class_name` is the other one there, too."""


class IsaacusEmbedding(ProviderEmbedding):
    """Embeds with Isaacus; the default model is kanon-2-embedder, the variables are ISAACUS_API_KEY and ISAACUS_BASE_URL.

    >>> IsaacusEmbedding(api_key="a-key", dimensions=256).served_by
    'isaacus/kanon-2-embedder at api.isaacus.com'
    """

    provider = "isaacus"


class HerokuEmbedding(ProviderEmbedding):
    """Embeds with Heroku's inference add-on; the variables are EMBEDDING_URL, EMBEDDING_KEY and EMBEDDING_MODEL_ID.

    >>> HerokuEmbedding("cohere-embed-multilingual", api_key="a-key", base_url="https://us.inference.heroku.com").served_by
    'heroku/cohere-embed-multilingual at us.inference.heroku.com'
    """

    provider = "heroku"


class HuggingFaceInferenceAPIEmbedding(ProviderEmbedding):
    """Embeds with Hugging Face's inference service; the key's variable is HF_TOKEN.

    >>> HuggingFaceInferenceAPIEmbedding("BAAI/bge-small-en-v1.5", api_key="a-key").served_by
    'huggingface/BAAI/bge-small-en-v1.5 at router.huggingface.co'
    """

    provider = "huggingface"


class OllamaEmbedding(ProviderEmbedding):
    """Embeds with Ollama; the variables are OLLAMA_HOST and OLLAMA_API_KEY.

    >>> OllamaEmbedding("nomic-embed-text", base_url="http://gpu:11434").served_by
    'ollama/nomic-embed-text at gpu:11434'
    """

    provider = "ollama"


class TextEmbeddingsInference(ProviderEmbedding):
    """Embeds with a server of Text Embeddings Inference, by its own form, which says what becomes of texts that are too long.

    >>> TextEmbeddingsInference("BAAI/bge-small-en-v1.5", base_url="http://gpu:8080", on_too_long="truncate").served_by
    'tei/BAAI/bge-small-en-v1.5 at gpu:8080'
    """

    provider = "tei"


class VLLMEmbedding(ProviderEmbedding):
    """Embeds with vLLM's server.

    >>> VLLMEmbedding("BAAI/bge-small-en-v1.5").served_by
    'vllm/BAAI/bge-small-en-v1.5 at localhost:8000'
    """

    provider = "vllm"


class LlamaCppEmbedding(ProviderEmbedding):
    """Embeds with llama.cpp's llama-server.

    >>> LlamaCppEmbedding("nomic", document_prefix="search_document: ", query_prefix="search_query: ").served_by
    'llamacpp/nomic at localhost:8080'
    """

    provider = "llamacpp"


class InfinityEmbedding(ProviderEmbedding):
    """Embeds with infinity.

    >>> InfinityEmbedding("BAAI/bge-small-en-v1.5").served_by
    'infinity/BAAI/bge-small-en-v1.5 at localhost:7997'
    """

    provider = "infinity"


class LMStudioEmbedding(ProviderEmbedding):
    """Embeds with LM Studio.

    >>> LMStudioEmbedding("nomic-embed-text-v1.5").served_by
    'lmstudio/nomic-embed-text-v1.5 at localhost:1234'
    """

    provider = "lmstudio"


class LiteLLMEmbedding(ProviderEmbedding):
    """Embeds through a LiteLLM proxy.

    >>> LiteLLMEmbedding("titan", base_url="http://localhost:4000").served_by
    'litellm/titan at localhost:4000'
    """

    provider = "litellm"
