"""The command line, once for each list of words in a JSON list."""

import contextlib
import json
import sys

from asyncrun.cli import main

for words in json.loads(sys.argv[1]):
    sys.argv = ["asyncrun", *words]
    with contextlib.suppress(SystemExit):
        main()
