"""The command line, where an input takes as long as a large one; a file tells that it is read."""

import time
from pathlib import Path

from asyncrun.cli import main
from asyncrun.readers.distinct_items import DistinctSource


def items(self, *stopped, former=DistinctSource.items):
    for item in former(self, *stopped):
        Path("reading").touch()
        time.sleep(0.001)
        yield item


DistinctSource.items = items
main()
