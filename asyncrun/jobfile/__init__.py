"""The job file: YAML in, one validated and resolved model out, or every mistake at once."""
