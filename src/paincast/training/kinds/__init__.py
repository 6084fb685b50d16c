"""Fit and cross-fit the model of each kind of outcome; each returns a ``FittedModel``."""
