"""The asynchronous engine: bridge, pool, limits, retry, signals."""
