"""Cohorts: simulated from evidence, read from registries, kept as folders of Parquet files."""
