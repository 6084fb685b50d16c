"""Models of a binary outcome: kinds of model, their choice, what techniques share, and the response that is served.

``kinds`` is the registry; a kind is declared by :class:`paincast.models.binary.model_kind.ModelKind`.
"""
