"""A study of the extraction table: its arms, patients, results, associations and harms, every figure as it gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DESIGNS = (
    "randomised trial",
    "crossover trial",
    "non-randomised comparison",
    "prospective series",
    "retrospective series",
    "registry",
    "systematic review",
    "meta-analysis",
    "economic evaluation",
    "guideline",
    "case report",
)

ARM_KINDS = (
    "treatment",
    "sham",
    "placebo injection",
    "local anaesthetic",
    "usual care",
    "other technique",
    "no treatment",
)
"""What the patients of an arm received. ``treatment`` is the technique that the table is about."""

OUTCOMES = (
    "pain_relief_50",
    "pain_relief_30",
    "pain_relief_other",
    "near_complete_relief",
    "global_improvement",
    "function_response",
    "composite_response",
    "surgery_avoided",
    "surgery",
    "opioid_reduction",
    "selection",
    "pain",
    "pain_change",
    "function",
    "function_change",
    "quality_of_life",
    "opioid_dose",
    "duration_months",
    "survival_months",
)
"""What was counted (shares: down to ``selection``, who passes a block or trial) or averaged (from ``pain`` on).

``near_complete_relief`` is at least 75 % less pain, complete relief or no pain; ``pain_relief_other`` any other
threshold, or one that is not told."""

DENOMINATORS = ("entering", "randomised", "treated", "implanted", "seen")
"""Whom a result is counted over: those entering the selection, all randomised, treated, implanted, or followed up."""

READ = ("full text", "abstract", "registry entry", "open data", "secondary page")
SEVERITIES = ("minor", "moderate", "serious", "death")
NOT_RATED = "not rated"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """An arm of a study, or the whole of a series.

    Parameters
    ----------
    kind : str
        One of :data:`ARM_KINDS`.
    what : str
        What was done: drug and dose, probe and temperature, waveform, or the comparator.
    technique, approach : str, optional
        Names of the contract, where the arm received one of its techniques.
    n_randomised, n_treated, n_seen : int, optional
        Patients at each step.
    regroups : str
        Name of an arm some of whose patients it holds too, such as those who crossed over; such an arm is not pooled.
    repeated : bool
        The procedure was repeated as pain returned before the results were taken: they are not those of one procedure,
        and are not pooled.
    """

    kind: str
    what: str
    technique: str = ""
    approach: str = ""
    n_randomised: int | None = None
    n_treated: int | None = None
    n_seen: int | None = None
    regroups: str = ""
    repeated: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """A result of one arm at one month: a count, a pooled share, or a mean.

    Parameters
    ----------
    arm : str
        Name of the arm.
    outcome : str
        One of :data:`OUTCOMES`.
    definition : str
        Definition of the outcome in the study.
    month : float, optional
        Months after the procedure: a visit, or the mean or median follow-up; missing where the study does not tell it.
    month_range : pair of float, optional
        First and last month, where patients were seen over a range of time.
    denominator : str
        One of :data:`DENOMINATORS`.
    events, n : int, optional
        Patients with the outcome, and in the denominator.
    share, ci95 : float and pair of float, optional
        Share and its interval as published; of a single arm only where the count is not told.
    n_studies : int, optional
        Studies behind a pooled share or mean.
    mean, sd : float, optional
        Mean and standard deviation, in the units of ``definition``.
    crossed_over : int, optional
        Patients of a control arm who had received the procedure by then; such a result is no comparator.
    note : str
        Remarks.
    """

    arm: str
    outcome: str
    definition: str
    denominator: str
    month: float | None = None
    month_range: tuple[float, float] | None = None
    events: int | None = None
    n: int | None = None
    share: float | None = None
    ci95: tuple[float, float] | None = None
    n_studies: int | None = None
    mean: float | None = None
    sd: float | None = None
    crossed_over: int | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Association:
    """The association of something known before the procedure with an outcome.

    Parameters
    ----------
    of : str
        What was compared, in words.
    outcome : str
        One of :data:`OUTCOMES`.
    month : float, optional
        Month of the outcome.
    column : str
        Column of the contract, if there is one.
    contrast : mapping
        How the column was coded, as in a predictor of a record: ``{equals: true}``, ``{at_least: 80}``, ``{below: 3}``,
        ``{per: 1}`` in units of the contract, ``{per_sd: true}``; empty where the study does not tell it.
    measure : str
        Measure of association, such as ``odds ratio`` or ``correlation``; empty if only a direction is told.
    value, ci95, p : float and pair of float, optional
        Size, its interval and its p value, as published.
    direction : {"better", "worse", "none"}
        Direction told; ``none`` is a null finding.
    adjusted_for : str
        Covariables; empty if univariable.
    n : int, optional
        Patients analysed.
    note : str
        Remarks.
    """

    of: str
    outcome: str
    direction: str
    month: float | None = None
    column: str = ""
    contrast: Mapping[str, float | bool | str] = field(default_factory=dict)
    measure: str = ""
    value: float | None = None
    ci95: tuple[float, float] | None = None
    p: float | None = None
    adjusted_for: str = ""
    n: int | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Harm:
    """A complication as counted by a study: over patients or procedures, with its severity.

    ``kind`` names it as the records do, so that counts of several studies can be pooled; empty where no record asks.
    """

    event: str
    severity: str
    per: str
    kind: str = ""
    arm: str = ""
    events: int | None = None
    n: int | None = None
    share: float | None = None
    ci95: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Characteristic:
    """A column of the contract before the procedure, over the patients of a study.

    Parameters
    ----------
    column : str
        Column of the contract.
    n : int, optional
        Patients described.
    mean, sd, median : float, optional
        Of a number, in the unit of the contract.
    quartiles : pair of float, optional
        First and third quartile.
    share : float, optional
        Share with a true yes/no column, of women (``sex``) or of values above zero (``opioid_mme``).
    note : str
        Remarks.
    """

    column: str
    n: int | None = None
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    quartiles: tuple[float, float] | None = None
    share: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study of the extraction table.

    Parameters
    ----------
    id : str
        Name of its file.
    citation : str
        Authors, title or short title, journal, year, volume and pages.
    doi, pmid : str
        Identifiers; one of them is needed unless ``unidentified`` says why there is none.
    read_at, read : str
        Address at which the figures were read, and what was read there: one of :data:`READ`.
    design : str
        One of :data:`DESIGNS`.
    indications : tuple of str
        Indications of the contract that the patients had.
    population : str
        The patients, in words.
    selection : str
        Blocks, trial of stimulation, tumour or other conditions of entry.
    risk_of_bias, certainty : str
        As a cited review or the study itself states them, with who says so; else ``not rated``.
    country, years : str
        Where and when.
    arms : mapping of str to Arm
        By name.
    patients : tuple of Characteristic
        The patients before the procedure, all arms together.
    results, associations, harms : tuple
        What was found.
    costs : tuple of str
        Costs in words, with currency and year.
    overlaps : tuple of str
        Studies of the table that report the same patients, in whole or in part.
    pools : tuple of str
        Studies of several trials whose patients it reports together. It does not make one trial of them, and its counts
        are taken only where none of them counts.
    unidentified, note : str
        Remarks.
    """

    id: str
    citation: str
    read_at: str
    read: str
    design: str
    population: str
    arms: Mapping[str, Arm]
    indications: tuple[str, ...] = ()
    doi: str = ""
    pmid: str = ""
    selection: str = ""
    risk_of_bias: str = NOT_RATED
    certainty: str = NOT_RATED
    country: str = ""
    years: str = ""
    patients: tuple[Characteristic, ...] = ()
    results: tuple[Result, ...] = ()
    associations: tuple[Association, ...] = ()
    harms: tuple[Harm, ...] = ()
    costs: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    unidentified: str = ""
    note: str = ""
