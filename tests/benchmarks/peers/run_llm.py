"""Embeds the texts of a file with `llm embed-multi`: BASE_URL INPUT FOLDER."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

base_url, texts, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
environ = {**os.environ, "OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "k", "LLM_USER_PATH": str(folder)}
command = [Path(sys.executable).with_name("llm"), "embed-multi", "texts", texts, "--format", "nl", "-m", "3-small"]
ended = subprocess.run([*command, "-d", folder / "out.db", "--batch-size", "10", "--store"], env=environ, check=False)
try:
    print("rows", sqlite3.connect(folder / "out.db").execute("select count(*) from embeddings").fetchone()[0])
except sqlite3.Error:
    print("rows 0")
sys.exit(ended.returncode)
