"""Batch endpoints: what a provider answers overnight for half the price, one file a vendor."""
