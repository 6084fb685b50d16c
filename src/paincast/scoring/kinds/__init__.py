"""What models of each kind answer for patients: a plan for each kind, and one function that scores patients by it.

``encoding.py`` makes the columns that all of them use, ``score.py`` is what each gives, ``log_odds.py`` holds models of
log odds with their draws; ``binary.py``, ``cumulative.py``, ``duration.py`` and ``change.py`` are the kinds, and
``linear.py`` the way of their own that linear models of a binary outcome have (``paincast.scoring.linear``).
"""
