"""A simulated cohort held against its truth and its evidence."""
