"""Callbacks: events of a run, and who listens."""
