"""Exporters: a trace in the forms that other tools read."""
