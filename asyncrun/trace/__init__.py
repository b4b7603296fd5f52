"""Traces: recorded runs, and how they are shown."""
