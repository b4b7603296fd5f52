"""Runs the program that is its first word, and lists on standard error the modules that are loaded when it has ended."""

import sys

try:
    exec(sys.argv[1])
finally:
    sys.stderr.write("\n".join(sorted(sys.modules)))
