"""Tokenizers by name: the one of the local model, or a `tokenizer.json` file."""

from __future__ import annotations

from pathlib import Path

from asyncrun.embedders.tokenizer import FileTokenizer
from asyncrun.errors import ResourceError, UsageError
from asyncrun.escape import printable
from asyncrun.ports import Tokenizer

LOCAL = "all-MiniLM-L6-v2"


def load_tokenizer(name: str) -> Tokenizer:
    """Return the tokenizer of a name. Blocks while a file is read.

    >>> load_tokenizer("all-MiniLM-L6-v2").count("hello world")
    4

    Raises UsageError for a name that nobody knows and a path where no tokenizer is.
    """
    if name == LOCAL:
        return FileTokenizer()
    path = Path(name).expanduser()
    if not name.endswith(".json"):
        raise UsageError(f"no tokenizer is named {name!r}", hint=f"Name {LOCAL}, or the path of the model's tokenizer.json.")
    if not path.is_file():
        raise UsageError(f"there is no tokenizer at {path}", hint="Correct the path of the embedder's tokenizer.")
    tokenizer = FileTokenizer(lambda: path)
    try:
        tokenizer.added = tokenizer.special_tokens()
    except ResourceError:
        raise
    except Exception as error:  # the library knows no other class
        raise UsageError(f"{path} is no tokenizer: {printable(str(error), 100)}", hint="Take the tokenizer.json of the model.") from error
    return tokenizer
