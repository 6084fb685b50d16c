"""Differences between techniques that a comparison found, held against the patient and the month of a plan."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from paincast.eligibility import assess_condition
from paincast.evidence.conditions import Condition, describe_condition
from paincast.planning.figures import Figure
from paincast.planning.patient import Facts
from paincast.planning.suitability import GROUPS

NO_CONTRAST = (
    "a prognosis never orders options: it enters only through a comparison of the techniques whose diagnostics passed"
)


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Differences between techniques and a reference, from a comparison whose diagnostics passed.

    Parameters
    ----------
    figures : mapping of str to mapping of str to Figure
        By component and technique; the reference is 0.
    refusal : str
        Why there is none.
    unused : str
        What of the comparison, the patient or the plan speaks against its use: ``diagnostics``, ``approaches``,
        ``outcome``, ``comparator``, ``basis``, ``indication``, ``condition``, ``technique`` or ``month``; empty if
        nothing does, or none was given.
    indications : tuple of str
        Indications of the patients who were compared.
    conditions : tuple of mapping
        Conditions that all of them fulfilled.
    month : float, optional
        Month of the outcome.
    """

    figures: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    refusal: str = ""
    unused: str = ""
    indications: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    month: float | None = None

    def hold_for(self, facts: Facts, month: float | None, groups: Mapping[str, str]) -> Contrast:
        """Return what the contrast says of a patient at a month: nothing if others, or another month, were compared.

        Parameters
        ----------
        facts : Facts
            The patient. A condition that cannot be assessed counts as not fulfilled.
        month : float, optional
            Month of the plan.
        groups : mapping of str to str
            Group of each technique: patients with a contraindication to one of the techniques were not compared.
        """
        misfit = next(self._find_misfits(facts, month, groups), None) if self.figures else None
        return self if misfit is None else refuse(*misfit)

    def _find_misfits(self, facts: Facts, month: float | None, groups: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        if facts.get("indication") not in self.indications:
            yield "indication", f"it is of patients with {', '.join(self.indications)}"
        for condition in self.conditions:
            told, assessed = describe_condition(condition), assess_condition(condition, facts.episode)
            if assessed.isna().iloc[0]:
                yield "condition", f"it is of patients with {told}, which cannot be assessed in this one"
            elif not assessed.iloc[0]:
                yield "condition", f"it is of patients with {told}, which this one is not"
        for technique in dict.fromkeys(name for of in self.figures.values() for name in of):
            if groups[technique] != GROUPS[0]:
                yield (
                    "technique",
                    f"it is of patients who may have {technique}, which is {groups[technique]} here",
                )
        if month is None or self.month is None or not math.isclose(month, self.month):
            own = "has no month" if month is None else f"is of month {month:g}"
            yield "month", f"it is of month {self.month or 0:g}, and the plan {own}"


def refuse(unused: str, reason: str) -> Contrast:
    """Make a contrast without figures."""
    return Contrast(unused=unused, refusal=f"the comparison is not used: {reason}")
