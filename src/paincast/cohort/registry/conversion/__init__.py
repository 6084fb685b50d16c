"""Convert the rows of a registry's files into the raw tables of a cohort, as a mapping says."""
