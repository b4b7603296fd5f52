"""Writes documents into a store, and removes some, until it is killed."""

import itertools
import sys
from pathlib import Path

from asyncrun.stores.interface import Collection
from asyncrun.stores.sqlite import SqliteStore
from asyncrun.testing.stores import make_document

path, turn = Path(sys.argv[1]), int(sys.argv[2])
store = SqliteStore(path)
store.open_collection(Collection("before", "b" * 32, 3))
store.commit("before", "docs", [make_document("a", ["other words"], [[1, 0, 0]])])
store.open_collection(Collection("notes", "a" * 32, 3))
for number in itertools.count():
    made = []
    for name in range(number % 37, number % 37 + 5):
        count = (number + name + turn) % 9
        mark = f"v{turn}x{number}x{count}"
        texts = [f"{mark} name{name} part{part}" for part in range(count)]
        made.append(make_document(f"doc{name}", texts, [[part + 1, name + 1, 1] for part in range(count)], {"chunks": count}, mark))
    store.commit("notes", "docs", made)
    if number % 3 == 0:
        store.remove("notes", "docs", [f"doc{number % 41}"])
    if number == 0:
        print("ready", flush=True)
