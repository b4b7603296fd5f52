"""The runs of a folder as pages for a browser, while they go on: `asyncrun trace serve`."""
