"""The small languages that the job file shares with what reads it: globs, templates, filters, endings of names."""
