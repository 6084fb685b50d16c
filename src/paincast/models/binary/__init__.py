"""Models of a binary outcome: kinds of model, model selection, partial pooling of techniques, and the served response.

``kinds`` is the registry; a kind is declared as a :class:`paincast.models.binary.model_kind.ModelKind`.
"""
