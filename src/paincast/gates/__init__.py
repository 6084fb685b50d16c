"""Gates: decide from its evidence whether a model may be promoted, with a reason for every criterion.

``criteria.py`` has the list of criteria and the gate; ``patients.py``, ``elsewhere.py`` and ``net_benefit.py`` have
those on the patients, on calibration elsewhere and on decisions, ``findings.py`` what they share, ``verdict.py`` the
evidence and the verdict, and ``use.py`` the use that a verdict allows.
"""

from paincast.gates.criteria import CRITERIA, gate
from paincast.gates.verdict import FAILED, MISSING, NOT_ASKED, PASSED, GateEvidence, GateFinding, GateVerdict

__all__ = [
    "CRITERIA",
    "FAILED",
    "MISSING",
    "NOT_ASKED",
    "PASSED",
    "GateEvidence",
    "GateFinding",
    "GateVerdict",
    "gate",
]
