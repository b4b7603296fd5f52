"""The vendors' own clients and our embedders ask the fake server the same, and read the same vectors from it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from asyncrun import registry
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of

KEY = "sentinel-0123456789abcdef"
TEXTS = ["a", "b"]
# Run by the Python that has the clients: the server's root is its argument, the vectors its answer.
CALLS = {
    "openai": "[row.embedding for row in openai.OpenAI(api_key=key, base_url=root + '/v1').embeddings.create(model='m', input=texts).data]",
    "azure": (
        "[row.embedding for row in openai.AzureOpenAI(api_key=key, azure_endpoint=root, api_version='2024-10-21')"
        ".embeddings.create(model='m', input=texts).data]"
    ),
    "cohere": (
        "cohere.ClientV2(api_key=key, base_url=root).embed(texts=texts, model='m', input_type='search_document', "
        "embedding_types=['float'], truncate='NONE').embeddings.float_"
    ),
    "isaacus": (
        "[row.embedding for row in isaacus.Isaacus(api_key=key, base_url=root + '/v1').embeddings.create("
        "model='m', texts=texts, task='retrieval/document', overflow_strategy=None).embeddings]"
    ),
    "ollama": "ollama.Client(host=root).embed(model='m', input=texts, truncate=False).embeddings",
    "gemini": (
        "[row.values for client in [genai.Client(api_key=key, http_options={'base_url': root})] for row in client.models.embed_content("
        "model='m', contents=texts, config={'task_type': 'RETRIEVAL_DOCUMENT'}).embeddings]"
    ),
}
PACKAGES = {"azure": "import openai", "gemini": "from google import genai"}
ADAPTERS = {name: registry.load("embedders", name) for name in CALLS}
OURS: dict[str, dict[str, Any]] = {"azure": {"api_version": "2024-10-21"}}
BASE = {"openai": "/v1", "isaacus": "/v1", "gemini": "/v1beta"}

pytestmark = pytest.mark.needs("vendors")


def asked_by_the_client(name: str, root: str) -> list[list[float]]:
    """Return the vectors that a vendor's client reads from a server."""
    program = f"{PACKAGES.get(name, f'import {name}')}\nimport json, sys\nroot, key, texts = sys.argv[1], sys.argv[2], {TEXTS}\n"
    program += f"print(json.dumps([list(map(float, row)) for row in {CALLS[name]}]))"
    python = Path(os.environ["ASYNCRUN_TEST_SERVERS"]) / "vendors" / "bin" / "python"
    ended = subprocess.run([python, "-c", program, root, KEY], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    vectors: list[list[float]] = json.loads(ended.stdout)
    return vectors


def without_role(document: Any) -> Any:
    """Leave out what Google's client adds and Google does not ask for."""
    return json.loads(json.dumps(document).replace(', "role": "user"', ""))


def key_in(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if KEY in value}


@pytest.mark.parametrize("name", CALLS)
def test_a_vendors_client_and_ours_ask_the_same_and_read_the_same(name: str) -> None:
    async def ours(root: str) -> list[list[float]]:
        async with ADAPTERS[name]("m", api_key=KEY, base_url=root + BASE.get(name, ""), environ={}, **OURS.get(name, {})) as embedder:
            vectors: list[list[float]] = await embedder.aget_text_embeddings(TEXTS)
            return vectors

    with FakeServer().in_thread() as server:
        root = server.base_url.removesuffix("/v1")
        theirs = asked_by_the_client(name, root)
        mine = asyncio.run(ours(root))
        client, embedder = server.requests
    assert mine == [vector_of(text).tolist() for text in TEXTS]
    assert [pytest.approx(row, abs=1e-6) for row in mine] == theirs
    assert embedder.document == without_role(client.document)
    # Google's client has moved to v1; both versions are served.
    assert embedder.path == client.path.replace("/v1/models/", "/v1beta/models/")
    if name != "ollama":  # whose client takes its key from the environment
        assert key_in(embedder.headers) == key_in(client.headers)
