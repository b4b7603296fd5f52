"""Who answers: one row a provider, with its address, its dialect, and what its servers are known to take of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from asyncrun.endpoints import vendors
from asyncrun.endpoints.vendors import Vendor
from asyncrun.llms.schema_rules import ANTHROPIC, AZURE, GEMINI, STRICT, SchemaRules
from asyncrun.llms.wire import SchemaForm, Terms

NEW_LIMIT = "max_completion_tokens"
OLD_LIMIT = "max_tokens"
DEPLOYMENT = "/openai/deployments/{model}/chat/completions"
DEFAULT_MAX_OUTPUT = 4096
"""Tokens of an answer where a provider demands a number and nobody has said one: what the smallest of its models can write."""
_NEW = Terms((NEW_LIMIT, OLD_LIMIT))
# Servers that know only the old name and pass over what they do not know would answer without a limit.
_OLD = Terms((OLD_LIMIT, NEW_LIMIT))
# Mistral counts the tokens of a stream unasked, and refuses what it does not know.
_MISTRAL = replace(_OLD, seed="random_seed", counts_streams=False)
# Of `response_format` Heroku's pages say that it works in part; a tool's arguments have to fit.
_HEROKU = replace(_OLD, counts_streams=False, schema=(SchemaForm.TOOL, SchemaForm.WORDS))
_ANTHROPIC = Terms((OLD_LIMIT,), seed=None, counts_streams=False, schema=(SchemaForm.SCHEMA, SchemaForm.TOOL, SchemaForm.WORDS))


@dataclass(frozen=True, slots=True)
class ChatProvider:
    """One row.

    Attributes:
        vendor: Who is asked, and with which key.
        path: Where requests go, behind the address.
        dialect: What requests and replies look like: `openai` or `anthropic`.
        terms: What its servers take of a request, as far as is known before the first.
        rules: What a schema must keep to be enforced there.
        headers: Sent with every request.
        max_output_tokens: Most tokens of an answer where nobody has said a number; None: the model's own.
        reserves: Whether its limits count the most that an answer may have as soon as it is asked for, and not what it turns out to have.
    """

    vendor: Vendor
    path: str = "/chat/completions"
    terms: Terms = _NEW
    dialect: str = "openai"
    rules: SchemaRules | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    max_output_tokens: int | None = None
    reserves: bool = True


_ROWS = (
    ChatProvider(vendors.OPENAI, rules=STRICT),
    ChatProvider(vendors.AZURE, "/openai/v1/chat/completions", rules=AZURE),
    ChatProvider(vendors.MISTRAL, terms=_MISTRAL),
    ChatProvider(replace(vendors.HEROKU, addresses=("INFERENCE_URL",), keys=("INFERENCE_KEY",)), "/v1/chat/completions", _HEROKU),
    ChatProvider(vendors.GEMINI, "/openai/chat/completions", _OLD, rules=GEMINI),
    ChatProvider(
        vendors.ANTHROPIC,
        "/v1/messages",
        _ANTHROPIC,
        "anthropic",
        ANTHROPIC,
        {"anthropic-version": vendors.ANTHROPIC_VERSION},
        DEFAULT_MAX_OUTPUT,
        reserves=False,
    ),
    ChatProvider(vendors.OLLAMA, "/v1/chat/completions", _OLD),
    ChatProvider(vendors.VLLM),
    ChatProvider(vendors.LLAMACPP, terms=_OLD),
    ChatProvider(vendors.LMSTUDIO, terms=_OLD),
    ChatProvider(vendors.LITELLM),
)
CHAT_PROVIDERS: Mapping[str, ChatProvider] = {row.vendor.name: row for row in _ROWS}
