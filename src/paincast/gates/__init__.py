"""Whether a model may be promoted, judged from its evidence alone, with a reason for every criterion.

``criteria.py`` holds the criteria and the gate, ``verdict.py`` what goes in and comes out, ``use.py`` the use that a
verdict allows.
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
