"""Evaluation: metrics with intervals, calibration curves, honest resampling."""
