"""May this model be promoted: a pure function of its evidence, with a reason for every criterion."""

from paincast.gates.judging import CRITERIA, gate
from paincast.gates.verdict import FAILED, MISSING, NOT_ASKED, PASSED, Evidence, Finding, Verdict

__all__ = [
    "CRITERIA",
    "FAILED",
    "MISSING",
    "NOT_ASKED",
    "PASSED",
    "Evidence",
    "Finding",
    "Verdict",
    "gate",
]
