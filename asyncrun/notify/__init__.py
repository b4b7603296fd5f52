"""Who is told how a run begins and ends: a dead man's switch that is pinged."""
