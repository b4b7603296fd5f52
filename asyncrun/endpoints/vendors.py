"""Who is asked: addresses, hosts and variables of keys, one row a vendor, for embeddings and for answers alike.

Addresses of local servers are those that they listen on by default.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vendor:
    """Who is behind an address.

    Attributes:
        name: As the job file writes it.
        title: As people write it.
        base_url: The address; None: there is none that all share.
        addresses: Environment variables that carry the address instead.
        own_hosts: Endings of the hosts that are the vendor's besides.
        key_addresses: Addresses by how a key begins.
        keys: Environment variables that carry the key; read for the vendor's own addresses only.
        auth: The header of the key; `authorization` carries it as a bearer's.
        needs_key: Whether nothing can be sent to the vendor's own address without a key.
        self_hosted: Whether the same model name may mean another model at another address: the host is then a part of the space.
    """

    name: str
    title: str
    base_url: str | None = None
    addresses: tuple[str, ...] = ()
    own_hosts: tuple[str, ...] = ()
    key_addresses: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()
    auth: str = "authorization"
    needs_key: bool = True
    self_hosted: bool = False


OPENAI = Vendor("openai", "OpenAI, and every server that speaks its dialect", "https://api.openai.com/v1", keys=("OPENAI_API_KEY",))
AZURE = Vendor(
    "azure",
    "Azure OpenAI",
    addresses=("AZURE_OPENAI_ENDPOINT",),
    own_hosts=(".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"),
    keys=("AZURE_OPENAI_API_KEY",),
    auth="api-key",
    self_hosted=True,
)
COHERE = Vendor("cohere", "Cohere", "https://api.cohere.com", keys=("CO_API_KEY", "COHERE_API_KEY"))
VOYAGE = Vendor(
    "voyage",
    "Voyage AI",
    "https://api.voyageai.com/v1",
    key_addresses=(("al-", "https://ai.mongodb.com/v1"),),
    keys=("VOYAGE_API_KEY",),
)
JINA = Vendor("jina", "Jina AI", "https://api.jina.ai/v1", keys=("JINA_API_KEY",))
MISTRAL = Vendor("mistral", "Mistral AI", "https://api.mistral.ai/v1", keys=("MISTRAL_API_KEY",))
GEMINI = Vendor("gemini", "Google Gemini", "https://generativelanguage.googleapis.com/v1beta", keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"))
ANTHROPIC = Vendor("anthropic", "Anthropic", "https://api.anthropic.com/v1", keys=("ANTHROPIC_API_KEY",), auth="x-api-key")
ANTHROPIC_VERSION = "2023-06-01"
"""Of its interface: every request names it."""
ISAACUS = Vendor("isaacus", "Isaacus", "https://api.isaacus.com/v1", addresses=("ISAACUS_BASE_URL",), keys=("ISAACUS_API_KEY",))
HEROKU = Vendor("heroku", "Heroku Managed Inference", "https://us.inference.heroku.com", own_hosts=(".inference.heroku.com",))
"""The variables of an add-on are named by what its model does: see the rows that use them."""
HUGGINGFACE = Vendor(
    "huggingface", "Hugging Face Inference", "https://router.huggingface.co", keys=("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN")
)

OLLAMA = Vendor(
    "ollama",
    "Ollama",
    "http://localhost:11434",
    addresses=("OLLAMA_HOST",),
    own_hosts=(".ollama.com",),
    keys=("OLLAMA_API_KEY",),
    needs_key=False,
    self_hosted=True,
)
TEI = Vendor("tei", "Text Embeddings Inference", "http://localhost:8080", needs_key=False, self_hosted=True)
VLLM = Vendor("vllm", "vLLM", "http://localhost:8000/v1", needs_key=False, self_hosted=True)
LLAMACPP = Vendor("llamacpp", "llama.cpp's llama-server", "http://localhost:8080/v1", needs_key=False, self_hosted=True)
INFINITY = Vendor("infinity", "infinity", "http://localhost:7997", needs_key=False, self_hosted=True)
LMSTUDIO = Vendor("lmstudio", "LM Studio", "http://localhost:1234/v1", needs_key=False, self_hosted=True)
LITELLM = Vendor("litellm", "LiteLLM proxy", "http://localhost:4000/v1", needs_key=False, self_hosted=True)
