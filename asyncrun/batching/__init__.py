"""Batches, decided: packing, splitting and proving; no I/O."""
