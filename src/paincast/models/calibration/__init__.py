"""Calibration maps of a binary model, and the combination of a model with its map."""
