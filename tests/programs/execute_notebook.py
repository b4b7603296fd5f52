"""Execute a notebook in the working directory, as Jupyter would, and write it with its outputs: SOURCE TARGET."""

import sys

import nbclient
import nbformat

source, target = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
nbformat.write(notebook, target)
