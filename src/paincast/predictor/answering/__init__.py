"""Answer checked patients by one model: what the scoring core needs, and the words that stand beside its numbers.

``ready.py`` holds checked patients, ``kinds.py`` lays a model out for the core (``plan.py`` a linear one),
``scorer.py`` makes predictions with it, ``judgement.py`` and ``controls.py`` make the words, and ``frames.py`` converts
to data frames.
"""
