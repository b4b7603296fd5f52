"""Who speaks OpenAI's chat completions, one row a provider: the path, and the name of the limit of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from asyncrun.endpoints import vendors
from asyncrun.endpoints.vendors import Vendor

NEW_LIMIT = "max_completion_tokens"
OLD_LIMIT = "max_tokens"
DEPLOYMENT = "/openai/deployments/{model}/chat/completions"


@dataclass(frozen=True, slots=True)
class ChatProvider:
    """One row.

    Attributes:
        vendor: Who is asked, and with which key.
        path: Where requests go, behind the address.
        limit: The first name that is tried for the most tokens of an answer. Servers that know only the old one and pass over what they do
            not know would answer without a limit.
    """

    vendor: Vendor
    path: str = "/chat/completions"
    limit: str = NEW_LIMIT


_ROWS = (
    ChatProvider(vendors.OPENAI),
    ChatProvider(vendors.AZURE, "/openai/v1/chat/completions"),
    ChatProvider(vendors.MISTRAL, limit=OLD_LIMIT),
    ChatProvider(replace(vendors.HEROKU, addresses=("INFERENCE_URL",), keys=("INFERENCE_KEY",)), "/v1/chat/completions", OLD_LIMIT),
    ChatProvider(vendors.GEMINI, "/openai/chat/completions", OLD_LIMIT),
    ChatProvider(vendors.OLLAMA, "/v1/chat/completions", OLD_LIMIT),
    ChatProvider(vendors.VLLM),
    ChatProvider(vendors.LLAMACPP, limit=OLD_LIMIT),
    ChatProvider(vendors.LMSTUDIO, limit=OLD_LIMIT),
    ChatProvider(vendors.LITELLM),
)
PROVIDERS: Mapping[str, ChatProvider] = {row.vendor.name: row for row in _ROWS}
