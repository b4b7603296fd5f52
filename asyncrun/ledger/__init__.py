"""The ledger: what is finished and durable, shared by all jobs of a folder."""
