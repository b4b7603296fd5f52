"""Servers behind HTTP: how one is reached, what its refusals mean, how long it asks to wait."""
