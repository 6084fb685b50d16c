"""Answer checked patients by one model: what the scoring core needs, and the words that stand beside its numbers.

``ready.py`` holds checked patients, ``plan.py`` lays a model out for the core, ``scorer.py`` makes predictions with it,
``judgement.py`` and ``controls.py`` make the words, and ``frames.py`` converts to data frames.
"""
