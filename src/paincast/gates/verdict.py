"""The evidence that a gate judges, and its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from paincast.deferred import pandas as pd
from paincast.schema import RESEARCH_MARK

PASSED = "passed"
FAILED = "failed"
MISSING = "missing"
NOT_ASKED = "not asked"

OVERALL = "overall"
VERDICT_COLUMNS = ("criterion", "status", "required", "reason")


@dataclass(frozen=True, kw_only=True)
class GateEvidence:
    """Evidence on a model; None or an absent row counts as missing, and criteria that need it fail.

    Parameters
    ----------
    kind : {"binary", "time_to_event", "continuous"}
        Kind of the outcome; for the first two, a probability is judged.
    basis : {"synthetic", "real", "blended"}
        The kind of data that the model is based on.
    n_real : int or None
        Number of real episodes it was trained on.
    confidence : float or None
        Coverage of the intervals in the tables.
    level : float or None
        Level of the interval of the individual's outcome, for a continuous outcome.
    metrics : DataFrame or None
        ``metric, group, estimate, lower, upper, n, method``, out of sample.
    subgroups : DataFrame or None
        The same columns by subgroup; if present, ``shrunken, shrunken_lower, shrunken_upper`` are judged.
    decision_curve : DataFrame or None
        The same columns and ``threshold, strategy, versus, band_lower, band_upper``, from
        :func:`paincast.evaluation.performance.decision.compute_decision_curve`.
    sample_size : DataFrame or None
        ``criterion, n, available, met``.
    instability : DataFrame or None
        The columns of metrics: ``interval_width`` and ``instability_mean`` are told.
    loss : DataFrame or None
        ``measure, value``; ``asked`` and ``lost``, without a value where few were lost.
    tipping_point : DataFrame or None
        ``shift, odds_ratio, verdict, tips``.
    held_out : mapping of str to DataFrame
        Tables of internal validation: held-out sites and years, and why a part was not measured.
    validations : DataFrame or None
        External validations of the model: ``group, n, estimate, lower, upper, contradicts``, a row for each cohort.
    card_items : frozenset of str or None
        Items of the model card that are filled, or do not apply to this kind of outcome.
    """

    kind: str
    basis: str
    n_real: int | None
    confidence: float | None = None
    level: float | None = None
    metrics: pd.DataFrame | None = None
    subgroups: pd.DataFrame | None = None
    decision_curve: pd.DataFrame | None = None
    sample_size: pd.DataFrame | None = None
    instability: pd.DataFrame | None = None
    loss: pd.DataFrame | None = None
    tipping_point: pd.DataFrame | None = None
    held_out: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    validations: pd.DataFrame | None = None
    card_items: frozenset[str] | None = None

    @property
    def is_number(self) -> bool:
        """Whether the outcome is continuous, so that there is no probability to judge."""
        return self.kind == "continuous"


@dataclass(frozen=True, kw_only=True)
class GateFinding:
    """The result of one criterion.

    Parameters
    ----------
    criterion : str
        Name of the criterion.
    status : {"passed", "failed", "missing", "not asked"}
        ``missing`` counts as failed.
    required : str
        What the gate requires.
    reason : str
        What was found.
    """

    criterion: str
    status: str
    required: str
    reason: str

    @property
    def is_met(self) -> bool:
        """Whether the criterion does not block promotion."""
        return self.status in (PASSED, NOT_ASKED)


@dataclass(frozen=True, kw_only=True)
class GateVerdict:
    """The verdict of a gate, with a finding for every criterion."""

    gate: str
    research_use: bool
    findings: tuple[GateFinding, ...]

    @property
    def passed(self) -> bool:
        """Whether the model may be promoted."""
        return not self.unmet

    @property
    def unmet(self) -> tuple[GateFinding, ...]:
        """The criteria that block promotion."""
        return tuple(finding for finding in self.findings if not finding.is_met)

    @property
    def mark(self) -> str:
        """The mark that a model promoted by this verdict carries everywhere; empty if it needs none."""
        return RESEARCH_MARK if self.research_use else ""

    def describe(self) -> str:
        """Write the verdict in one line."""
        n_judged = sum(finding.status != NOT_ASKED for finding in self.findings)
        if self.passed:
            mark = f", {self.mark}" if self.mark else ""
            return f"passes gate '{self.gate}' ({n_judged} criteria{mark})"
        named = ", ".join(finding.criterion for finding in self.unmet)
        return f"refused by gate '{self.gate}' ({len(self.unmet)} of {n_judged} criteria: {named})"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per criterion: ``criterion, status, required, reason``."""
        rows = [[getattr(finding, column) for column in VERDICT_COLUMNS] for finding in self.findings]
        return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))
