"""The REST server: predictions over HTTP, by the same core and with the same numbers as ``paincast.predict``.

``server.py`` runs it, ``app.py`` has its endpoints, ``openapi.py`` describes them from the contract of the models.
A request is read by ``body.py``, waits in ``waiting.py``, which answers all that wait at once, and becomes JSON in
``answers.py``. ``sources.py`` finds models in folders and registries, ``models.py`` holds those that are served and
exchanges them. ``guard.py`` stands around everything: the token, the headers, the audit log of ``audit.py``, and an
error for whatever goes wrong; ``options.py`` has what can be set.
"""
