"""Cohorts simulated from published evidence, with their truth beside them."""

from paincast.cohort.simulate.assumptions import Assumptions
from paincast.cohort.simulate.generator import simulate_cohort, write_cohort
from paincast.cohort.simulate.patients import documented_correlations
from paincast.cohort.simulate.truth import Truth, save_simulated

__all__ = ["Assumptions", "Truth", "documented_correlations", "save_simulated", "simulate_cohort", "write_cohort"]
