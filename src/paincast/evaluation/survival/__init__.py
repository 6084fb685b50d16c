"""Survival curves and the performance of predicted durations."""
