"""The local model itself: one text in, one vector out, for worker threads to call."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncrun.embedders.packaged import MODEL
from asyncrun.embedders.tokenizer import FileTokenizer, check_address_space
from asyncrun.errors import ResourceError

if TYPE_CHECKING:
    from asyncrun.records import Vectors

DIMENSIONS = 384
ADDRESS_SPACE = 450_000_000
"""Bytes that the model and the threads that run it take; measured, and rounded up."""
MAX_TOKENS = 256
"""What the model was trained with (its sentence-transformers configuration), [CLS] and [SEP] included."""


@dataclass(frozen=True, slots=True, eq=False)
class TextVector:
    """What the model made of one text; no vector when it was to be read whole and is too long."""

    vector: Vectors | None
    tokens: int
    cut: bool


class MiniLM:
    """all-MiniLM-L6-v2: the mean over the tokens' last hidden states, of unit length. Loaded when first used, shared by threads."""

    def __init__(self, tokenizer: FileTokenizer) -> None:
        self._tokenizer = tokenizer
        self._loading = threading.Lock()
        self._session: Any = None

    def read(self, text: str, whole: bool) -> TextVector:
        """Return the vector of one text; blocks for tens of milliseconds. With `whole` a text that does not fit is refused, not cut.

        Raises StorageError when a file of the model is not the right one, ResourceError when there is no memory for it.
        """
        ids, cut = self._tokenizer.ids(text, MAX_TOKENS)
        if cut and whole:
            return TextVector(None, 0, cut=False)
        numbers = np.array([ids], dtype=np.int64)
        inputs = {"input_ids": numbers, "attention_mask": np.ones_like(numbers), "token_type_ids": np.zeros_like(numbers)}
        with _enough_memory():
            states = self._loaded().run(None, inputs)[0][0]
        mean = states.mean(axis=0, dtype=np.float32)
        vector: Vectors = mean / np.linalg.norm(mean)
        return TextVector(vector, len(ids), cut)

    def unload(self) -> None:
        """Let go of the model's memory."""
        self._session = None

    def _loaded(self) -> Any:
        with self._loading:
            if self._session is None:
                self._session = _open_session(MODEL.find())
            return self._session


@contextmanager
def _enough_memory() -> Iterator[None]:
    """Raise ResourceError where the model's library finds no memory: it has no exception of its own for it."""
    try:
        yield
    except Exception as error:
        if "bad_alloc" not in str(error):
            raise
        raise ResourceError("there is no memory for the local model") from error


def _open_session(path: Path) -> Any:
    check_address_space("the local model", ADDRESS_SPACE)
    # onnxruntime 1.32 keeps telemetry files in the user's cache folder, with an address to send them to; only this, set before the
    # import, turns it off (its disable_telemetry_events() does not).
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    # It writes to stderr, past every stream of ours, warnings about the machine, and errors that it raises as well.
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Texts run side by side on our threads; threads inside one text would only get in their way (18 texts/s on one, 30 on two).
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
