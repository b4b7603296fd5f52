"""Asks a local server about each row, at once and in a batch, and puts both terminals into the README; its name stands as OpenAI's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from readme_example import ROOT, put

from asyncrun.testing import BatchServers, Chat, FakeServer

WIDTH = "110"
DAY = 86_400.0
NIGHT = """\
llms:
  small:
    provider: openai
    model: gpt-4o-mini
    price_per_million_tokens: {input: 0.15, output: 0.60}
    delivery: batch
jobs:
  - name: summaries
    kind: generate
    input: {path: articles.jsonl, text: body}
    llm: small
    prompt: "Summarise, and name the topic: {text}"
    schema: {path: summary.schema.json}
    output: summaries.jsonl
    max_runtime: 5s
"""
TOPICS = {"cats": "animals", "moon": "nature", "yeast": "food"}


def answer(document: Mapping[str, Any]) -> str:
    """Answer with the first sentence of what is asked about, and its topic."""
    text = document["messages"][0]["content"].partition(": ")[2]
    topic = next((topic for word, topic in TOPICS.items() if word in text.lower()), "other")
    return json.dumps({"summary": re.split(r"(?<=\.) |: ", text)[0], "topic": topic})


def shown(folder: Path, server: FakeServer, line: str) -> str:
    """Run a line of a shell and return it with what it prints, as at the vendor."""
    environ = {**os.environ, "COLUMNS": WIDTH, "OPENAI_API_KEY": "no-secret", "PYTHONPATH": str(ROOT)}
    environ["OLLAMA_HOST"] = server.base_url.removesuffix("/v1")
    called = line.replace("asyncrun ", f"{sys.executable} -m asyncrun ", 1)
    ran = subprocess.run(["bash", "-c", called], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    host = server.base_url.removeprefix("http://").partition("/")[0]
    code = f"$ echo $?\n{ran.returncode}\n" if ran.returncode else ""
    return f"$ {line}\n{ran.stdout}{code}".replace(host, "api.openai.com")


def main() -> None:
    """Write the README."""
    server = FakeServer(chat=Chat(answer=answer), batches=BatchServers(seconds=3600.0))
    with tempfile.TemporaryDirectory() as name, server.in_thread():
        folder = Path(name)
        for file in ("articles.jsonl", "summary.schema.json"):
            shutil.copy(ROOT / "examples" / "chain" / file, folder)
        ask = 'asyncrun generate articles.jsonl --text body -o now.jsonl -p "Summarise, and name the topic: {text}" \\\n'
        ask += "    --schema summary.schema.json -m ollama/llama3.2 -q"
        online = [shown(folder, server, line) for line in (ask, "head -n 1 now.jsonl")]
        (folder / "night.yaml").write_text(NIGHT.replace("    model:", f"    base_url: {server.vendor_url('openai')}\n    model:"))
        night = [
            f"$ cat night.yaml\n{NIGHT}",
            *(shown(folder, server, f"asyncrun {words} night.yaml") for words in ("run", "batches list -f")),
        ]
        assert server.batches is not None  # noqa: S101 (it was made with them)
        server.batches.advance(DAY / 2)
        night.append(shown(folder, server, "asyncrun run night.yaml"))
    page = ROOT / "README.md"
    text = page.read_text(encoding="utf-8")
    for marker, parts in (("generate", online), ("night", night)):
        text = put(text, marker, "".join(parts))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
