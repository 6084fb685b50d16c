"""The extraction table: what each study did and found, one file per study, every figure as the study gives it.

Only what was read stands here. Nothing is pooled, shrunk or judged: that is computed from the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from paincast.errors import DataError
from paincast.evidence.reading import build, check_known, parse_transform, read_yaml
from paincast.evidence.records import check_technique
from paincast.schema import EPISODES, INDICATIONS, TECHNIQUES

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
"""What was counted (shares: down to ``selection``, who passes a block or trial) or averaged (from ``pain`` on)."""

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
    unidentified: str = ""
    note: str = ""


@cache
def load_studies() -> Mapping[str, Study]:
    """Load every study of the extraction table, by id.

    Raises
    ------
    DataError
        If a file is malformed; the message names the study, the key and what is allowed.
    """
    folder = Path(str(files("paincast.evidence") / "studies"))
    return MappingProxyType(
        {path.stem: parse_study(path.stem, read_yaml(path)) for path in sorted(folder.glob("*.yaml"))}
    )


def parse_study(name: str, content: Mapping[str, Any]) -> Study:
    """Parse and check the content of a study's file.

    Raises
    ------
    DataError
        If a key is unknown or missing, a name is not known, or figures contradict each other.
    """
    where = f"study {name}"
    arms = {arm: build(Arm, entry, f"{where}, arm {arm}") for arm, entry in content.get("arms", {}).items()}
    parsed = {**content, "id": name, "arms": MappingProxyType(arms)}
    for key, kind in _LISTS.items():
        entries = enumerate(content.get(key, ()), 1)
        parsed[key] = tuple(build(kind, entry, f"{where}, {key} {number}") for number, entry in entries)
    study = build(Study, parsed, where)
    _check_study(study, where)
    return study


def tabulate_results(technique: str | None = None) -> pd.DataFrame:
    """Tabulate the results of studies: one row per study, arm, outcome and month.

    Parameters
    ----------
    technique : str, optional
        Only studies with an arm that received this technique; their control arms are included.

    Returns
    -------
    DataFrame
        Identification of the study, ``arm_kind``, what the arm received, and the fields of :class:`Result`. Figures
        that a study does not give are missing.

    Raises
    ------
    SettingsError
        If there is no technique of that name.
    """
    if technique is not None:
        check_technique(technique)
    columns = ["study", "citation", "doi", "pmid", "read_at", "read", "design", "indications", "arm_kind"]
    rows = [
        {
            "study": study.id,
            **{name: getattr(study, name) for name in ("citation", "doi", "pmid", "read_at", "read", "design")},
            "indications": ", ".join(study.indications),
            "arm_kind": study.arms[result.arm].kind,
            **{name: getattr(study.arms[result.arm], name) for name in ("technique", "approach", "what")},
            **{item.name: getattr(result, item.name) for item in fields(Result)},
        }
        for study in load_studies().values()
        if technique is None or technique in {arm.technique for arm in study.arms.values()}
        for result in study.results
    ]
    arm_columns = ["technique", "approach", "what"]
    return pd.DataFrame(rows, columns=[*columns, *arm_columns, *(item.name for item in fields(Result))])


_LISTS: Mapping[str, type] = {
    "patients": Characteristic,
    "results": Result,
    "associations": Association,
    "harms": Harm,
}


def _check_study(study: Study, where: str) -> None:
    check_known(study.design, DESIGNS, f"{where}, design")
    check_known(study.read, READ, f"{where}, read")
    if not (study.doi or study.pmid or study.unidentified):
        raise DataError(
            f"{where}: give its doi or pmid, or write in 'unidentified' why it has none", code="PC-EVIDENCE-32"
        )
    for indication in study.indications:
        check_known(indication, INDICATIONS, f"{where}, indications")
    for name, arm in study.arms.items():
        check_known(arm.kind, ARM_KINDS, f"{where}, arm {name}, kind")
        if arm.technique:
            check_known(arm.technique, TECHNIQUES, f"{where}, arm {name}, technique")
        if arm.regroups:
            check_known(arm.regroups, study.arms, f"{where}, arm {name}, regroups")
        if arm.approach:
            check_known(arm.approach, EPISODES["approach"].categories, f"{where}, arm {name}, approach")
    for number, characteristic in enumerate(study.patients, 1):
        check_known(characteristic.column, EPISODES, f"{where}, patients {number}, column")
    for number, result in enumerate(study.results, 1):
        at = f"{where}, results {number}"
        check_known(result.arm, study.arms, f"{at}, arm")
        check_known(result.outcome, OUTCOMES, f"{at}, outcome")
        check_known(result.denominator, DENOMINATORS, f"{at}, denominator")
        _check_figures(result, at, needed=True)
    for number, association in enumerate(study.associations, 1):
        at = f"{where}, associations {number}"
        check_known(association.outcome, OUTCOMES, f"{at}, outcome")
        check_known(association.direction, ("better", "worse", "none"), f"{at}, direction")
        if association.column:
            check_known(association.column, EPISODES, f"{at}, column")
        if association.contrast:
            parse_transform(association.contrast, f"{at}, contrast")
    for number, harm in enumerate(study.harms, 1):
        at = f"{where}, harms {number}"
        check_known(harm.severity, SEVERITIES, f"{at}, severity")
        check_known(harm.per, ("patient", "procedure"), f"{at}, per")
        if harm.arm:
            check_known(harm.arm, study.arms, f"{at}, arm")
        _check_figures(harm, at, needed=False)


def _check_figures(figure: Result | Harm, where: str, *, needed: bool) -> None:
    """Check that counts, share and interval agree; a result needs a count, a share or a mean."""
    mean = getattr(figure, "mean", None)
    if needed and (figure.events is None or figure.n is None) and figure.share is None and mean is None:
        raise DataError(f"{where}: give events and n, a share, or a mean", code="PC-EVIDENCE-33")
    if figure.events is not None and not (figure.n is not None and 0 <= figure.events <= figure.n):
        raise DataError(f"{where}: events need n, and lie from 0 to n", code="PC-EVIDENCE-34")
    if figure.share is not None and not 0 <= figure.share <= 1:
        raise DataError(f"{where}: share {figure.share} is out of range; allowed: 0 to 1", code="PC-EVIDENCE-35")
    counted = figure.events / figure.n if figure.events is not None and figure.n else None
    if counted is not None and figure.share is not None and abs(counted - figure.share) > 0.006:
        raise DataError(f"{where}: share {figure.share} is not {figure.events} of {figure.n}", code="PC-EVIDENCE-36")
    given = [value for value in (mean, figure.share, counted) if value is not None]
    if figure.ci95 is not None and given and not figure.ci95[0] <= given[0] <= figure.ci95[1]:
        raise DataError(f"{where}: the interval does not contain its estimate", code="PC-EVIDENCE-37")
