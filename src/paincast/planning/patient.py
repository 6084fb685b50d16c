"""Read one patient: typed facts, what could not be used, and facts that contradict each other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paincast.cohort.tables import Cohort, conform
from paincast.cohort.validate import validate_patients
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.deferred import yaml
from paincast.errors import DataError
from paincast.files.bounded import read_json, read_yaml_text
from paincast.profiling.linked import link_cohort
from paincast.profiling.rules import RULES, Rule

YAML = (".yaml", ".yml")
ASKED = ("indication", "technique")
"""What is asked is never set aside: a contradiction is told beside it."""
IDS = ("episode_id", "patient_id")
NOT_OF_MEN = ("pregnant",)
"""Facts that are false of men: nobody is asked for them. Rules alone need them; no model does."""


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A column of the patient that could not be used; its value is not repeated."""

    column: str
    rule: str
    allowed: str


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """Facts that do not go together.

    Parameters
    ----------
    rule, kind : str
        Name of the rule, and whether it is ``impossible``, ``contradictory`` or ``implausible``.
    finding, meaning : str
        What is found, and what is likely wrong.
    set_aside : tuple of str
        Columns that count as unknown, because nobody knows which of them is wrong.
    """

    rule: str
    kind: str
    finding: str
    meaning: str
    set_aside: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of the patient.

    Parameters
    ----------
    episode : DataFrame of shape (1, ...)
        Columns of the contract in their types, without what was set aside.
    unread : tuple of Unread
        What could not be used.
    contradictions : tuple of Contradiction
        What does not go together.
    """

    episode: pd.DataFrame
    unread: tuple[Unread, ...]
    contradictions: tuple[Contradiction, ...]

    def get(self, column: str) -> Any:
        """Return a value, or None where it is unknown."""
        value = self.episode[column].iloc[0]
        return None if pd.isna(value) else value

    @property
    def known(self) -> tuple[str, ...]:
        """Columns whose value is known, without ids and what goes without saying of men."""
        names = self.episode.columns[self.episode.iloc[0].notna()]
        untold = (*IDS, *(NOT_OF_MEN if self.get("sex") == "male" else ()))
        return tuple(str(name) for name in names if name not in untold)


def read_facts(patient: object, contract: Contract = BUILT_IN) -> Facts:
    """Read one patient.

    Parameters
    ----------
    patient : mapping, DataFrame, Series, str or Path
        A mapping of columns to values, a table of one row, or a file: YAML, JSON, or any that ``paincast predict``
        reads.
    contract : Contract
        Declares the columns.

    Returns
    -------
    Facts

    Raises
    ------
    DataError
        If it cannot be read, is not exactly one patient, or its indication is not a known one.

    Examples
    --------
    >>> facts = read_facts({"indication": "knee_osteoarthritis", "sex": "male", "pregnant": True, "agee": 60})
    >>> facts.known, facts.contradictions[0].rule, facts.unread[0].column
    (('indication',), 'pregnant_man', 'agee')
    """
    rows = _open(patient)
    episodes, rejects = validate_patients(rows, contract=contract)
    if len(episodes) != 1:
        raise DataError(
            f"a plan is for one patient, and {len(episodes)} were given; give one mapping or a table with one row",
            code="PC-PLANNING-01",
        )
    unread = tuple(
        Unread(column=str(row["column"]), rule=str(row["rule"]), allowed=str(row["allowed"]))
        for row in rejects.to_dict("records")
    )
    if "indication" in {item.column for item in unread}:
        raise DataError(
            f"the indication is not a known one; give one of {', '.join(contract.episodes['indication'].categories)}",
            code="PC-PLANNING-02",
        )
    contradictions = _find_contradictions(episodes, contract)
    aside = sorted({name for item in contradictions for name in item.set_aside})
    cleaned = episodes.copy()
    cleaned[aside] = cleaned[aside].mask(cleaned[aside].notna())
    if str(cleaned["sex"].iloc[0]) == "male":
        cleaned[[*NOT_OF_MEN]] = cleaned[[*NOT_OF_MEN]].fillna(value=False)
    return Facts(episode=cleaned, unread=unread, contradictions=contradictions)


def _open(patient: object) -> object:
    """Read a YAML or JSON file; anything else is left to the reader of tables."""
    if not isinstance(patient, (str, os.PathLike)):
        return patient
    file = Path(patient)
    if file.suffix.lower() == ".json":
        return read_json(file)
    if file.suffix.lower() not in YAML:
        return patient
    text = read_yaml_text(file)
    try:
        content = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:  # a date or a number may be none
        raise DataError(f"{file.name} is not valid YAML", code="PC-PLANNING-03") from error
    if not isinstance(content, dict) or not content:
        raise DataError(
            f"{file.name} must hold columns with a value each, such as 'age_years: 60'", code="PC-PLANNING-04"
        )
    if isinstance(node, yaml.MappingNode) and len(node.value) > len(content):
        raise DataError(f"{file.name} has a column twice; keep one", code="PC-PLANNING-12")
    return content


def _find_contradictions(episodes: pd.DataFrame, contract: Contract) -> tuple[Contradiction, ...]:
    """Hold the patient against the rules on combinations of values known before the procedure."""
    visits, events = (conform(name, pd.DataFrame(), contract) for name in ("visits", "events"))
    linked = link_cohort(Cohort(episodes=episodes, visits=visits, events=events, basis="real", contract=contract))
    return tuple(
        Contradiction(
            rule=rule.name,
            kind=rule.kind,
            finding=rule.finding,
            meaning=rule.meaning,
            set_aside=() if rule.kind == "implausible" else tuple(name for name in rule.columns if name not in ASKED),
        )
        for rule in RULES
        if _is_of_episode(rule) and rule.judge(linked)[1].any()
    )


def _is_of_episode(rule: Rule) -> bool:
    return not any("." in name or name in IDS for name in rule.columns)
