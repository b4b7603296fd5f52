"""Asks a chat model about each text of a file with curator, which has no embeddings: BASE_URL INPUT FOLDER."""

import json
import sys
from pathlib import Path

import litellm.litellm_core_utils.default_encoding  # noqa: F401  # it has the tokenizer that curator would download
from bespokelabs import curator

base_url, texts, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])


class Ask(curator.LLM):
    """One prompt a row."""

    def prompt(self, row):
        """Return the text as the prompt."""
        return row["text"]

    def parse(self, row, response):
        """Keep the answer beside the id."""
        return {"id": row["id"], "answer": response}


ask = Ask("gpt-4o-mini", backend="openai", backend_params={"base_url": base_url, "api_key": "k"})
answered = ask([json.loads(line) for line in texts.read_text().splitlines()], working_dir=str(folder / "cache"))
print("rows", len(answered.dataset))
