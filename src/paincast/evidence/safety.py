"""Data classes of complications and contraindications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from paincast.evidence.conditions import Condition

BLEEDING_CLASSES = ("low", "intermediate", "high", "arterial access")
"""Bleeding risk of a procedure: the ASRA classes for pain procedures, and arterial access."""

SEVERITIES = ("serious", "moderate", "minor")
"""Severities of complications, the worst first."""

_KINDS_BY_SEVERITY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "serious": (
            *("serious_harm", "severe_adverse_effect", "neurological_catastrophe", "paraplegia", "death", "bleeding"),
            *("infection", "septic_arthritis", "discitis", "meningitis", "vertebral_fracture", "skin_burn"),
            *("revision", "explant", "corneal_problem", "anaesthesia_dolorosa"),
        ),
        "moderate": (
            *("lead_migration", "surgery", "repeat_procedure", "knee_replacement", "cartilage_loss"),
            *("nerve_irritation", "paraesthesia_or_weakness", "masseter_weakness", "hypotension_or_local_pain"),
        ),
        "minor": (
            *("any_complication", "local_pain", "soreness_or_flare", "vasovagal_or_flare", "pocket_pain"),
            *("dural_puncture", "post_dural_puncture_headache", "intravascular_injection", "neuritis", "paraesthesia"),
            *("adrenal_suppression", "glucose_rise", "flushing_or_glucose_rise", "hypotension", "diarrhoea"),
            *("groin_haematoma", "skin_discoloration", "buttock_numbness", "facial_numbness", "trial_lead_migration"),
        ),
    }
)

SEVERITY_OF_KIND: Mapping[str, str] = MappingProxyType(
    {kind: severity for severity, kinds in _KINDS_BY_SEVERITY.items() for kind in kinds}
)
"""Severity of each kind of complication: that of most counts of the extraction table, where studies count it."""


@dataclass(frozen=True, kw_only=True)
class Complication:
    """A complication with the lowest and highest published rate; the rate is None if it is not published.

    Parameters
    ----------
    event : str
        Description.
    kind : str
        Name of the kind, identical for all figures of a kind.
    event_kind : {"complication", "repeat_procedure", "explant", "surgery"}
        Kind of event in the data contract.
    rate : tuple of float, optional
        Lowest and highest rate per ``per``; where it is pooled from studies, the 95 % interval.
    estimate : float, optional
        Pooled rate.
    events : int, optional
        Events counted.
    per : str
        Denominator of the rate: ``patient``, ``lesion``, ``lead``.
    per_patient : tuple of float, optional
        The rate per patient if ``per`` is another denominator.
    by_month : float, optional
        Month by which the rate was reached; None for early complications.
    n : int, optional
        Number of patients observed.
    ci95 : tuple, optional
        Published 95 % confidence interval.
    counted_in : tuple of str
        Whose rate it is, where it is not of patients of the record: their indications, a technique (and approach) that
        they had instead, or ``several_kinds_of_pain``.
    repeats : str
        Other figure of the record that this figure repeats, includes or contradicts; empty for figures that count.
    """

    event: str
    kind: str
    source: str | tuple[str, ...]
    tag: str
    event_kind: str = "complication"
    rate: tuple[float, float] | None = None
    estimate: float | None = None
    events: int | None = None
    per: str = "patient"
    per_patient: tuple[float, float] | None = None
    by_month: float | None = None
    n: int | None = None
    ci95: tuple[float, float] | None = None
    counted_in: tuple[str, ...] = ()
    repeats: str = ""
    note: str = ""

    @property
    def severity(self) -> str:
        """Severity of its kind."""
        return SEVERITY_OF_KIND[self.kind]

    @property
    def patient_rate(self) -> float | None:
        """Pooled rate, or midpoint of the rate per patient; None if it is not known."""
        if self.estimate is not None:
            return self.estimate
        ends = self.rate if self.per == "patient" else self.per_patient
        return None if ends is None else (ends[0] + ends[1]) / 2.0


@dataclass(frozen=True, kw_only=True)
class Contraindication:
    """A contraindication to a procedure.

    Parameters
    ----------
    name : str
        Name in ``contraindications.yaml``.
    label : str
        Short name of the patient characteristic.
    level : {"absolute", "relative", "caution"}
        Absolute: the patient is ineligible; relative: the procedure needs a plan; caution: consider the risk.
    reason : str
        Explanation for clinicians.
    when : mapping
        Condition on the columns of the episodes (:mod:`paincast.evidence.conditions`).
    source, tag : str
        Source of the statement, and its tag.
    """

    name: str
    label: str
    level: Literal["absolute", "relative", "caution"]
    reason: str
    when: Condition
    source: str
    tag: str
    note: str = ""
