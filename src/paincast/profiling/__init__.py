"""Profile of a cohort: what its owner should know before anything is modelled, as tidy tables.

``linked.py`` links visits and events to their episodes and groups these; ``flow.py``, ``missing.py``, ``follow_up.py``,
``outcomes.py``, ``expected.py``, ``combinations.py`` (its rules in ``rules.py``) and ``drift.py`` count; ``profile.py``
puts the tables together and lets nothing leave that disclosure control hides.
"""

from paincast.profiling.profile import Profile, compute_profile

__all__ = ["Profile", "compute_profile"]
