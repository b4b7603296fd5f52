"""Providers that speak OpenAI's dialect: a name, and what their row does not say."""

from __future__ import annotations

from asyncrun.embedders.openai import OpenAIEmbedding
from asyncrun.endpoints.url import fill, join, with_query
from asyncrun.errors import UsageError

DEPLOYMENT = "/openai/deployments/{model}/embeddings"


class AzureOpenAIEmbedding(OpenAIEmbedding):
    """Embeds with Azure OpenAI; `model` (or `deployment_name`) is the deployment, `base_url` (or `azure_endpoint`) the resource.

    The variables are AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY.
    """

    provider = "azure"

    def _url(self, base_url: str, model: str) -> str:
        if self._api_version is None:
            return super()._url(base_url, model)
        return with_query(join(base_url, fill(DEPLOYMENT, model)), {"api-version": self._api_version})


class VoyageEmbedding(OpenAIEmbedding):
    """Embeds with Voyage AI; the variable is VOYAGE_API_KEY."""

    provider = "voyage"

    def check(self) -> None:
        """Raise UsageError when the provider's own address is meant and there is no key, or the model is one of groups of texts."""
        if self.model_name.startswith("voyage-context-"):
            hint = "Choose a model of single texts, such as voyage-4."
            raise UsageError(f"{self.model_name} embeds groups of texts, which cannot be asked for here", hint=hint)
        super().check()


class JinaEmbedding(OpenAIEmbedding):
    """Embeds with Jina AI; the variable is JINA_API_KEY.

    With `extra_body={"late_chunking": True}` the texts of one call have a part in each other's vectors, and are sent together.
    """

    provider = "jina"


class MistralAIEmbedding(OpenAIEmbedding):
    """Embeds with Mistral AI; the variable is MISTRAL_API_KEY."""

    provider = "mistral"


class HerokuEmbedding(OpenAIEmbedding):
    """Embeds with Heroku's inference add-on; the variables are EMBEDDING_URL, EMBEDDING_KEY and EMBEDDING_MODEL_ID."""

    provider = "heroku"


class VLLMEmbedding(OpenAIEmbedding):
    """Embeds with vLLM's server."""

    provider = "vllm"


class LlamaCppEmbedding(OpenAIEmbedding):
    """Embeds with llama.cpp's llama-server."""

    provider = "llamacpp"


class InfinityEmbedding(OpenAIEmbedding):
    """Embeds with infinity."""

    provider = "infinity"


class LMStudioEmbedding(OpenAIEmbedding):
    """Embeds with LM Studio."""

    provider = "lmstudio"


class LiteLLMEmbedding(OpenAIEmbedding):
    """Embeds through a LiteLLM proxy."""

    provider = "litellm"
