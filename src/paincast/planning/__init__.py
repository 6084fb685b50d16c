"""The plan of a patient: which techniques fit, what is missing, what is expected, how certain it is, what it costs.

``planner.py`` makes it: ``patient.py`` reads the patient, ``suitability.py`` puts each technique into a group,
``expected.py`` and ``benefit.py`` say what is expected and what trials tell beyond a control arm, ``evidence_parts.py``
gathers the rest, ``cost.py`` and ``preferences.py`` weigh it by what ``stated.py`` reads. ``contents.py`` holds it as
plain data, which ``text.py`` writes.
"""

from paincast.planning.contents import Plan
from paincast.planning.planner import plan

__all__ = ["Plan", "plan"]
