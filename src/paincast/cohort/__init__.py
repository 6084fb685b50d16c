"""Cohort tables: reading, cleaning, validation and storage of simulated and real patients."""
