"""Calibration maps of a binary model, and the model served as one with its map."""
