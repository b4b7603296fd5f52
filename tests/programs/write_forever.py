"""Writes rows to an output until it is killed."""

import os
import sys
from pathlib import Path

import numpy as np

from asyncrun.writers.interface import open_writer

writer = open_writer(Path(sys.argv[1]))
number = 0
while True:
    writer.write({"id": str(number), "embedding": np.full(64, number, dtype=np.float32), "text": os.urandom(500).hex(), "metadata": {}})
    number += 1
    if number == 10_000:
        print("writing", flush=True)
