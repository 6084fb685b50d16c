"""Simulate cohorts from published evidence, together with the true outcome probabilities."""

from paincast.simulator.assumptions import Assumptions
from paincast.simulator.defaults import Never
from paincast.simulator.generator import simulate_cohort, simulate_referrals, write_cohort, write_referrals
from paincast.simulator.population.patients import documented_correlations
from paincast.simulator.truth import Truth

__all__ = [
    "Assumptions",
    "Never",
    "Truth",
    "documented_correlations",
    "simulate_cohort",
    "simulate_referrals",
    "write_cohort",
    "write_referrals",
]
