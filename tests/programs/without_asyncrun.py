"""As `sitecustomize` of a Python: makes it one where asyncrun is not installed."""

import sys


class Without:
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "asyncrun":
            raise ModuleNotFoundError("No module named 'asyncrun'", name=name)


sys.meta_path.insert(0, Without())  # type: ignore[arg-type]
