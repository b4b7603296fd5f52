"""Writes many rows to standard output."""

import sys

from asyncrun.writers.interface import open_writer

writer = open_writer("-", None, sys.stdout.buffer)
for number in range(100_000):
    writer.write({"id": str(number)})
writer.commit()
print("done", file=sys.stderr)
