"""Who speaks OpenAI's chat completions: addresses, variables of keys, and the name of the limit of an answer, one row a provider.

Addresses of local servers are those that they listen on by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NEW_LIMIT = "max_completion_tokens"
OLD_LIMIT = "max_tokens"
DEPLOYMENT = "/openai/deployments/{model}/chat/completions"


@dataclass(frozen=True, slots=True)
class ChatProvider:
    """One row; what is not described here is as in `endpoints.address.Provider`.

    Attributes:
        path: Where requests go, behind the address.
        auth: The header of the key; `authorization` carries it as a bearer's.
        needs_key: Whether nothing can be sent to the provider's own address without a key.
        self_hosted: Whether the same model name may mean another model at another address: the host is then a part of the space.
        limit: The first name that is tried for the most tokens of an answer. Servers that know only the old one and pass over what they do
            not know would answer without a limit.
    """

    name: str
    base_url: str | None = None
    path: str = "/chat/completions"
    addresses: tuple[str, ...] = ()
    own_hosts: tuple[str, ...] = ()
    key_addresses: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()
    auth: str = "authorization"
    needs_key: bool = False
    self_hosted: bool = True
    limit: str = NEW_LIMIT


_ROWS = (
    ChatProvider("openai", "https://api.openai.com/v1", keys=("OPENAI_API_KEY",), needs_key=True, self_hosted=False),
    ChatProvider(
        "azure",
        path="/openai/v1/chat/completions",
        addresses=("AZURE_OPENAI_ENDPOINT",),
        own_hosts=(".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"),
        keys=("AZURE_OPENAI_API_KEY",),
        auth="api-key",
        needs_key=True,
    ),
    ChatProvider("mistral", "https://api.mistral.ai/v1", keys=("MISTRAL_API_KEY",), needs_key=True, self_hosted=False, limit=OLD_LIMIT),
    ChatProvider(
        "heroku",
        "https://us.inference.heroku.com",
        path="/v1/chat/completions",
        addresses=("INFERENCE_URL",),
        own_hosts=(".inference.heroku.com",),
        keys=("INFERENCE_KEY",),
        needs_key=True,
        self_hosted=False,
        limit=OLD_LIMIT,
    ),
    ChatProvider(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        path="/openai/chat/completions",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        needs_key=True,
        self_hosted=False,
        limit=OLD_LIMIT,
    ),
    ChatProvider(
        "ollama",
        "http://localhost:11434",
        path="/v1/chat/completions",
        addresses=("OLLAMA_HOST",),
        own_hosts=(".ollama.com",),
        keys=("OLLAMA_API_KEY",),
        limit=OLD_LIMIT,
    ),
    ChatProvider("vllm", "http://localhost:8000/v1"),
    ChatProvider("llamacpp", "http://localhost:8080/v1", limit=OLD_LIMIT),
    ChatProvider("lmstudio", "http://localhost:1234/v1", limit=OLD_LIMIT),
    ChatProvider("litellm", "http://localhost:4000/v1"),
)
PROVIDERS: Mapping[str, ChatProvider] = {row.name: row for row in _ROWS}
