"""Ingest files of any length in batches: one row an episode, without other files to join."""
