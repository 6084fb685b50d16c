"""Statistical disclosure control for tables, figures, captions and text about real patients.

``suppression.py`` hides small cells and their complements, ``rounding.py`` rounds counts and measures, ``cuts.py`` and
``groups.py`` merge or omit groups below the minimum cell size; ``flow.py``, ``metrics.py`` and ``survival.py`` apply
these rules to participant flows, metrics and survival curves, ``shares.py`` to any table of shares of groups.
"""
