"""Serving accepted models: the predict function, the batch command, the MLflow pyfunc."""
