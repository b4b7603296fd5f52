"""Where calls run that another process can do: processes of this machine, actors of a Ray cluster, or the event loop itself."""
