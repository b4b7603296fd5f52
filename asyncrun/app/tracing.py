"""A look at recorded runs."""

from __future__ import annotations
