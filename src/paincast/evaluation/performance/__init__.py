"""Metrics of predictions: one definition each, an interval for each, and the compiled pass that makes them fast."""
