"""The kind keeps what every kind of job promises; its package is installed."""

from asyncrun.testing import KindContract


class TestContract(KindContract):
    """The suite, with a job of this kind."""

    def entry(self, folder):
        """Return the entry of a job file."""
        texts = ["a red apple", "the moon at night", "rain"]
        return {"kind": "near-duplicates", "input": {"items": texts}, "output": "rows.jsonl", "threshold": 0.9}
