"""The engine: the graph of jobs, and the run."""
