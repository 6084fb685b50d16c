"""The extraction table: what each study did and found, one file per study, every figure as the study gives it.

Only what was read stands here. Nothing is pooled, shrunk or judged: that is computed from the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from paincast.errors import DataError
from paincast.evidence.reading import build, check_known, parse_transform, read_yaml
from paincast.evidence.records import check_technique
from paincast.evidence.safety import SEVERITY_OF_KIND
from paincast.evidence.synthesis.study import (
    ARM_KINDS,
    DENOMINATORS,
    DESIGNS,
    OUTCOMES,
    READ,
    SEVERITIES,
    Arm,
    Association,
    Characteristic,
    Harm,
    Result,
    Study,
)
from paincast.files.declared_types import check_declared
from paincast.schema import EPISODES, INDICATIONS, TECHNIQUES


@cache
def load_studies() -> Mapping[str, Study]:
    """Load every study of the extraction table, by id.

    Raises
    ------
    DataError
        If a file is malformed; the message names the study, the key and what is allowed.
    """
    folder = Path(str(files("paincast.evidence") / "studies"))
    studies = {path.stem: parse_study(path.stem, read_yaml(path)) for path in sorted(folder.glob("*.yaml"))}
    check_links(studies)
    return MappingProxyType(studies)


def check_links(studies: Mapping[str, Study]) -> None:
    """Check that the studies which a study names as reporting the same patients are in the table.

    Raises
    ------
    DataError
        With the name that is not known.
    """
    for study in studies.values():
        for key in ("overlaps", "pools"):
            for name in getattr(study, key):
                check_known(name, studies, f"study {study.id}, {key}")


def parse_study(name: str, content: Mapping[str, Any]) -> Study:
    """Parse and check the content of a study's file.

    Raises
    ------
    DataError
        If a key is unknown or missing, a name is not known, or figures contradict each other.
    """
    where = f"study {name}"
    if not _NAME.fullmatch(name):
        raise DataError(f"{where}: a study is named by small letters, digits and underscores", code="PC-EVIDENCE-48")
    try:
        arms = {arm: build(Arm, entry, f"{where}, arm {arm}") for arm, entry in content.get("arms", {}).items()}
        parsed = {**content, "id": name, "arms": MappingProxyType(arms)}
        for key, kind in _LISTS.items():
            entries = enumerate(content.get(key, ()), 1)
            parsed[key] = tuple(build(kind, entry, f"{where}, {key} {number}") for number, entry in entries)
        study = build(Study, parsed, where)
        check_declared(study, Study)
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where}: a value is of another type than allowed: {error}", code="PC-EVIDENCE-49") from error
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


_NAME = re.compile("[a-z0-9_]+")
_RATIOS = ("odds ratio", "hazard ratio", "relative risk")
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
        _check_size(result, study.arms[result.arm], at)
    for number, association in enumerate(study.associations, 1):
        at = f"{where}, associations {number}"
        check_known(association.outcome, OUTCOMES, f"{at}, outcome")
        check_known(association.direction, ("better", "worse", "none"), f"{at}, direction")
        if association.column:
            check_known(association.column, EPISODES, f"{at}, column")
        _check_association(association, at)
    for number, harm in enumerate(study.harms, 1):
        at = f"{where}, harms {number}"
        check_known(harm.severity, SEVERITIES, f"{at}, severity")
        check_known(harm.per, ("patient", "procedure"), f"{at}, per")
        if harm.kind:
            check_known(harm.kind, SEVERITY_OF_KIND, f"{at}, kind")
        if harm.arm:
            check_known(harm.arm, study.arms, f"{at}, arm")
        _check_figures(harm, at, needed=False)


def _check_size(result: Result, arm: Arm, where: str) -> None:
    """Check that a result is of a time after the procedure, and of no more patients than its arm has."""
    if result.month is not None and result.month < 0:
        raise DataError(
            f"{where}: month {result.month:g} is before the procedure; allowed: from 0", code="PC-EVIDENCE-50"
        )
    n = arm.n_randomised
    if n and result.denominator != "entering" and result.n is not None and result.n > n:
        raise DataError(f"{where}: n {result.n} is more than the {n} randomised to the arm", code="PC-EVIDENCE-51")


def _check_association(association: Association, where: str) -> None:
    if association.column:
        column = EPISODES[association.column]
        if column.type == "category" and "equals" in association.contrast:
            check_known(str(association.contrast["equals"]), column.categories, f"{where}, contrast")
    if association.contrast:
        parse_transform(association.contrast, f"{where}, contrast")
    if association.p is not None and not 0 <= association.p <= 1:
        raise DataError(f"{where}: p {association.p} is out of range; allowed: 0 to 1", code="PC-EVIDENCE-52")
    value, ends = association.value, association.ci95
    if value is not None and value <= 0 and association.measure.endswith(_RATIOS):
        raise DataError(f"{where}: a ratio of {value:g}; allowed: above 0", code="PC-EVIDENCE-53")
    if ends is not None and not (ends[0] <= ends[1] and (value is None or ends[0] <= value <= ends[1])):
        raise DataError(f"{where}: the interval does not contain its estimate", code="PC-EVIDENCE-55")


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
