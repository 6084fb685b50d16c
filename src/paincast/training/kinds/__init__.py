"""How the model of each kind of outcome is fitted and cross-fitted; each gives a ``FittedModel``."""
