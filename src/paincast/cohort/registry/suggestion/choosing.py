"""Choose one column for each column of the contract and each time; two that are equally good leave a doubt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from paincast.cohort.registry.suggestion.language.timepoints import TimePoint
from paincast.cohort.registry.suggestion.names.matching import ORDER, Certainty, Match
from paincast.cohort.registry.suggestion.values.judging import Verdict

Slot = tuple[str, str, str]
"""Table, column of the contract, and time."""

BASELINE = ""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A column that fits a slot, with the verdict of its values."""

    match: Match
    verdict: Verdict
    slot: Slot
    time: TimePoint | None

    @property
    def certainty(self) -> Certainty:
        """How sure name, label and values are together."""
        if self.match.certainty == "doubt" and self.verdict.confirmed:
            return "likely"
        return self.match.certainty


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The column that is taken for a slot, or the candidates among which a person decides."""

    slot: Slot
    candidates: tuple[Candidate, ...]
    is_open: bool

    @property
    def taken(self) -> Candidate:
        """The best candidate."""
        return self.candidates[0]


def choose(candidates: Sequence[Candidate]) -> dict[Slot, Choice]:
    """Choose for each slot.

    Parameters
    ----------
    candidates : sequence of Candidate
        All that are possible; each column should stand for one slot only.

    Returns
    -------
    dict of Slot to Choice
        A choice is open if its best candidates are equally good, or none is sure.
    """
    by_slot: dict[Slot, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_slot[candidate.slot].append(candidate)
    return {slot: _choose_one(slot, found) for slot, found in by_slot.items()}


def _choose_one(slot: Slot, found: Sequence[Candidate]) -> Choice:
    sure = [candidate for candidate in found if candidate.certainty in ("certain", "likely")]
    ordered = sorted(sure or found, key=_goodness)
    best = [candidate for candidate in ordered if _goodness(candidate)[:2] == _goodness(ordered[0])[:2]]
    rivals = [other for other in found if other not in best and _is_rival(ordered[0], other)]
    if rivals:
        return Choice(slot=slot, candidates=(*best, *rivals), is_open=True)
    return Choice(slot=slot, candidates=tuple(ordered if not sure else best), is_open=not sure or len(best) > 1)


def _is_rival(best: Candidate, other: Candidate) -> bool:
    rivals = {rival for concept, rival in best.match.target.rivals.items() if concept in best.match.concepts}
    return bool(rivals & other.match.concepts) and not rivals & best.match.concepts


def _goodness(candidate: Candidate) -> tuple[int, int, int]:
    return (candidate.match.rank, -candidate.match.size, ORDER.index(candidate.certainty))
