"""What may go wrong, and what speaks against a procedure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from paincast.evidence.conditions import Condition

BLEEDING_CLASSES = ("low", "intermediate", "high", "arterial access")
"""Bleeding risk of a procedure: the classes of ASRA for pain procedures, and a puncture of an artery."""


@dataclass(frozen=True, kw_only=True)
class Complication:
    """A complication and the lowest and highest rate reported; no rate where it was only named.

    Parameters
    ----------
    event : str
        In words.
    kind : str
        Name of the kind, the same for every figure of one kind.
    event_kind : {"complication", "repeat_procedure", "explant", "surgery"}
        Kind of event of the data contract.
    rate : tuple of float, optional
        Lowest and highest rate, of ``per``.
    per : str
        Of what the rate is: ``patient``, ``lesion``, ``lead``.
    per_patient : tuple of float, optional
        The rate per patient where ``per`` is something else.
    by_month : float, optional
        Month by which the rate was reached; early complications have none.
    n : int, optional
        Patients observed.
    ci95 : tuple, optional
        Published 95 % confidence interval.
    repeats : str
        What other figure of the record this one repeats, contains or competes with; empty for a figure that counts.
    """

    event: str
    kind: str
    source: str
    tag: str
    event_kind: str = "complication"
    rate: tuple[float, float] | None = None
    per: str = "patient"
    per_patient: tuple[float, float] | None = None
    by_month: float | None = None
    n: int | None = None
    ci95: tuple[float, float] | None = None
    repeats: str = ""
    note: str = ""

    @property
    def patient_rate(self) -> float | None:
        """Give the middle of the rate per patient, or None where none is known."""
        ends = self.rate if self.per == "patient" else self.per_patient
        return None if ends is None else (ends[0] + ends[1]) / 2.0


@dataclass(frozen=True, kw_only=True)
class Contraindication:
    """What speaks against the procedure.

    Parameters
    ----------
    name : str
        Its name in ``contraindications.yaml``.
    label : str
        A few words that name what is to be known of the patient.
    level : {"absolute", "relative", "caution"}
        An absolute one makes a patient ineligible; a relative one needs a plan; a caution needs a thought.
    reason : str
        Why, in words for a clinician.
    when : mapping
        Of whom it holds: a condition on the columns of the episodes (:mod:`paincast.evidence.conditions`).
    source, tag : str
        Where that is stated and how it was seen.
    """

    name: str
    label: str
    level: Literal["absolute", "relative", "caution"]
    reason: str
    when: Condition
    source: str
    tag: str
    note: str = ""
