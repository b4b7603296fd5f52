"""Who is told of a run: pings of a dead man's switch, and notices to people."""
