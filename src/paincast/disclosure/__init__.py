"""Statistical disclosure control: what may be released of real patients in tables, figures, captions and text.

``suppression.py`` hides small cells and their complements, ``rounding.py`` rounds counts and measures, ``cuts.py`` and
``groups.py`` merge or leave out groups below the minimum cell size; ``flow.py``, ``metrics.py`` and ``survival.py``
apply that to participant flows, metrics and survival curves.
"""
