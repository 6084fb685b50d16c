"""MLflow's own server in front of a model: read its requests, answer in strict JSON, repeat nothing of a request.

``served.py`` is the model, ``bodies.py`` reads the body of a request as patients, and ``guard.py`` puts that in the
place of what MLflow does.
"""
