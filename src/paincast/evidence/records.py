"""Find evidence records by technique, indication and approach; missing evidence raises an error with the reason.

Records are YAML files in ``records/``, a file for each technique and indication (and approach). Their figures are in
``computed.yaml``, computed from the extraction table in ``studies/`` (:mod:`paincast.evidence.synthesis`), with the
sources; sources that are no studies are in ``sources.yaml``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from paincast.errors import DataError, RefusalError, SettingsError, suggest_name
from paincast.evidence.comparators import CONTROL_KINDS
from paincast.evidence.context import (
    PRACTICE_TOPICS,
    TRIAL_RESULTS,
    Comparison,
    ControlledTrial,
    Practice,
    Standing,
)
from paincast.evidence.figures import Record, Source
from paincast.evidence.reading import build, check_known, parse_comparison, parse_record, parse_sources, read_yaml
from paincast.schema import INDICATIONS, TECHNIQUES

EVIDENCE_FOLDER = Path(__file__).resolve().parent
_APPROACH_ORDER = ("transforaminal", "interlaminar", "caudal")


@cache
def _load_computed() -> Mapping[str, Any]:
    return MappingProxyType(read_yaml(EVIDENCE_FOLDER / "computed.yaml"))


@cache
def load_sources() -> Mapping[str, Source]:
    """Read all sources of records, keyed by id: studies, guidelines and data sets."""
    return MappingProxyType(_read_sources(_load_computed()))


def _read_sources(computed: Mapping[str, Any]) -> dict[str, Source]:
    return parse_sources({**computed["sources"], **read_yaml(EVIDENCE_FOLDER / "sources.yaml")})


@cache
def load_contents() -> Mapping[str, Mapping[str, Any]]:
    """Read the record files, keyed by id, without what is computed."""
    files = sorted((EVIDENCE_FOLDER / "records").glob("*.yaml"))
    return MappingProxyType({file.stem: read_yaml(file) for file in files})


@cache
def load_records() -> tuple[Record, ...]:
    """Read all records, in the order of techniques, approaches and names.

    Raises
    ------
    DataError
        If a record is malformed or a figure has no source or tag.
    """
    return build_records(_load_computed())


def build_records(computed: Mapping[str, Any]) -> tuple[Record, ...]:
    """Build all records from the record files and the content of ``computed.yaml``, its ``records`` and ``sources``.

    Raises
    ------
    DataError
        If a record is malformed or a figure has no source or tag.
    """
    contraindications = read_yaml(EVIDENCE_FOLDER / "contraindications.yaml")
    costs = read_yaml(EVIDENCE_FOLDER / "costs.yaml")
    sources = _read_sources(computed)
    records = [
        parse_record(content, contraindications, costs, sources, computed["records"].get(name))
        for name, content in load_contents().items()
    ]
    return tuple(sorted(records, key=_place_of))


@cache
def load_practice(technique: str) -> tuple[Practice, ...]:
    """Read what publications say of a technique in practice, by topic; a topic of which nothing was read has no entry.

    Raises
    ------
    DataError
        If an entry is malformed.

    Examples
    --------
    >>> {practice.topic for practice in load_practice("facet_rfa")} <= set(PRACTICE_TOPICS)
    True
    """
    entries = [
        build(Practice, entry, f"practice of {technique} {number}")
        for number, entry in enumerate(read_yaml(EVIDENCE_FOLDER / "practice.yaml").get(technique, ()), 1)
    ]
    for entry in entries:
        check_known(entry.topic, PRACTICE_TOPICS, f"practice of {technique}, topic")
        check_known(entry.source, load_sources(), f"practice of {technique}, source")
    return tuple(sorted(entries, key=lambda entry: PRACTICE_TOPICS.index(entry.topic)))


@cache
def load_comparisons() -> tuple[Comparison, ...]:
    """Read the studies that compared two procedures, or two routes, in the same patients.

    Raises
    ------
    DataError
        If an entry is malformed, or its figures are not computed yet.

    Examples
    --------
    >>> [trial] = [item for item in load_comparisons() if item.source == "crfa_fji2023"]
    >>> trial.first.technique, trial.second.technique, trial.outcomes[0].month, trial.outcomes[0].difference
    ('facet_rfa', 'facet_joint_injection', 3, 0.45)
    """
    declared = read_yaml(EVIDENCE_FOLDER / "comparisons.yaml")["comparisons"]
    computed = _load_computed().get("comparisons", [])
    if len(declared) != len(computed):
        raise DataError(
            "the figures of comparisons.yaml are not computed yet; run paincast evidence diff --write",
            code="PC-EVIDENCE-57",
        )
    pairs = zip(declared, computed, strict=True)
    return tuple(parse_comparison(entry, figures, load_sources()) for entry, figures in pairs)


def comparisons_of(indication: str, technique: str | None = None) -> tuple[Comparison, ...]:
    """Return the comparisons in an indication, all or those with an arm of a technique.

    Examples
    --------
    >>> [item.source for item in comparisons_of("knee_osteoarthritis", "genicular_rfa")]
    ['davis2018']
    """
    return tuple(
        item
        for item in load_comparisons()
        if item.indication == indication and technique in (None, item.first.technique, item.second.technique)
    )


@cache
def load_controlled_trials(technique: str) -> tuple[ControlledTrial, ...]:
    """Read what trials found that held a technique against a control arm, in a fixed order that no result decides.

    Raises
    ------
    DataError
        If an entry is malformed.

    Examples
    --------
    >>> [trial.result for trial in load_controlled_trials("genicular_rfa")]
    ['better', 'none']
    """
    where = f"controlled trials of {technique}"
    entries = read_yaml(EVIDENCE_FOLDER / "controlled_trials.yaml").get(technique, ())
    trials = tuple(build(ControlledTrial, entry, f"{where} {number}") for number, entry in enumerate(entries, 1))
    for trial in trials:
        check_known(trial.source, load_sources(), f"{where}, source")
        check_known(trial.against, CONTROL_KINDS, f"{where}, against")
        check_known(trial.result, TRIAL_RESULTS, f"{where}, result")
        for name in trial.indications:
            check_known(name, INDICATIONS, f"{where}, indications")
    return trials


@cache
def load_audit() -> Mapping[str, Standing]:
    """Read what the simulated response of each technique with a curve stands on, as it was computed last.

    Examples
    --------
    >>> load_audit()["facet_rfa"].meets_bar
    True
    """
    return MappingProxyType({name: Standing(**shares) for name, shares in _load_computed().get("audit", {}).items()})


def _place_of(record: Record) -> tuple[int, bool, int, str]:
    approach = _APPROACH_ORDER.index(record.approach) if record.approach in _APPROACH_ORDER else 0
    return TECHNIQUES.index(record.technique), bool(record.gap), approach, record.id


@cache
def evidence_version() -> str:
    """Compute a hash of 12 hexadecimal digits that changes with any record, computed figure, source or rule."""
    digest = hashlib.sha256()
    for file in sorted(file for file in EVIDENCE_FOLDER.rglob("*.yaml") if file.parent.name != "studies"):
        digest.update(file.relative_to(EVIDENCE_FOLDER).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def check_technique(technique: str) -> None:
    """Raise SettingsError if there is no technique of that name."""
    if technique not in TECHNIQUES:
        raise SettingsError(
            f"technique: unknown name '{technique}'; {suggest_name(technique, TECHNIQUES)}", code="PC-EVIDENCE-22"
        )


def records_of(technique: str) -> tuple[Record, ...]:
    """Return all records of a technique; a technique without evidence has a single record that describes the gap.

    Raises
    ------
    SettingsError
        If there is no technique of that name.
    RefusalError
        If it has no record.

    Examples
    --------
    >>> [record.approach for record in records_of("epidural_steroid_injection")][:2]
    ['transforaminal', 'transforaminal']
    >>> records_of("bariatric_embolization")[0].gap[:40]
    'no clinical study of it reports a pain o'
    """
    check_technique(technique)
    records = tuple(record for record in load_records() if record.technique == technique)
    if not records:
        raise RefusalError(
            f"technique {technique}: no evidence record exists for it yet, so there is nothing to simulate, train or "
            f"predict from; techniques with a record: {', '.join(_techniques_with_records())}",
            code="PC-EVIDENCE-23",
        )
    return records


def _techniques_with_records() -> list[str]:
    return sorted({record.technique for record in load_records() if not record.gap})


def _records_with_evidence(technique: str) -> tuple[Record, ...]:
    records = records_of(technique)
    if records[0].gap:
        raise RefusalError(f"technique {technique} is refused: {records[0].gap}", code="PC-EVIDENCE-24")
    return tuple(record for record in records if not record.gap)


def gaps_of(technique: str) -> Mapping[str, str]:
    """Return the indications of a technique for which a record states that there is no evidence, with the reason.

    Examples
    --------
    >>> list(gaps_of("celiac_plexus_neurolysis"))
    ['chronic_pancreatitis']
    """
    return {record.indication: record.gap for record in records_of(technique) if record.gap and record.indication}


def load_record(technique: str, indication: str | None = None, approach: str | None = None) -> Record:
    """Return the record that covers a technique in an indication by an approach.

    Parameters
    ----------
    technique : str
        Technique.
    indication : str, optional
        Indication; by default that of the first record of the technique.
    approach : str, optional
        Approach; by default the first that covers the indication. A record without an approach applies to all.

    Returns
    -------
    Record
        Records with the indication as primary indication take precedence. The record may describe a gap.

    Raises
    ------
    SettingsError
        If there is no technique of that name.
    RefusalError
        If no record covers the combination; the message names the indications and approaches that are covered.

    Examples
    --------
    >>> load_record("epidural_steroid_injection", "failed_back_surgery", "caudal").id
    'esi_caudal__lumbar_stenosis'
    """
    records = records_of(technique)
    if records[0].gap or (indication is None and approach is None):
        return records[0]
    matching = [record for record in records if _covers(record, indication, approach)]
    if not matching:
        raise RefusalError(
            f"technique {technique}: no evidence record for indication {indication or 'unknown'} "
            f"by approach {approach or 'any'}; covered: {_describe_coverage(records)}",
            code="PC-EVIDENCE-25",
        )
    return min(matching, key=lambda record: record.indication != (indication or record.indication))


def _covers(record: Record, indication: str | None, approach: str | None) -> bool:
    indicated = indication is None or indication in record.indications
    return indicated and (approach is None or record.approach is None or approach == record.approach)


def _describe_coverage(records: Iterable[Record]) -> str:
    return "; ".join(
        f"{', '.join(record.indications)}" + (f" ({record.approach})" if record.approach else "") for record in records
    )


def primary_horizon(technique: str) -> float:
    """Return the default horizon of a technique in months.

    It is the latest primary month of its records at which all response curves have a value.

    Raises
    ------
    SettingsError
        If there is no technique of that name.
    RefusalError
        If there is no evidence for it.
    """
    records = _records_with_evidence(technique)
    months = [record.primary_month for record in records if record.primary_month is not None]
    curves = [record.curve for record in records if record.curve]
    shared = [month for month in months if all(month in curve for curve in curves)]
    return float(max(shared or months))


def indications_of(technique: str) -> tuple[str, ...]:
    """Return all indications covered by the records of a technique, in the order of the records.

    Raises
    ------
    SettingsError
        If there is no technique of that name.
    RefusalError
        If there is no evidence for it.
    """
    records = _records_with_evidence(technique)
    primary = [record.indication for record in records]
    return tuple(dict.fromkeys([*primary, *(name for record in records for name in record.also_covers)]))


def simulated_records(technique: str) -> tuple[Record, ...]:
    """Return the records of a technique from which episodes can be simulated.

    Raises
    ------
    SettingsError
        If there is no technique of that name.
    RefusalError
        If there is no evidence for it, or no response curve.
    """
    records = tuple(record for record in _records_with_evidence(technique) if record.response)
    if not records:
        raise RefusalError(
            f"technique {technique} cannot be simulated: its evidence holds no response curve, so a model can stand on "
            f"real data only; can be simulated: {', '.join(simulated_techniques())}",
            code="PC-EVIDENCE-27",
        )
    return records


def simulated_techniques() -> tuple[str, ...]:
    """Return the techniques for which episodes can be simulated, in the order of the contract."""
    simulated = {record.technique for record in load_records() if record.response}
    return tuple(technique for technique in TECHNIQUES if technique in simulated)


def list_citations(records: Iterable[Record]) -> tuple[str, ...]:
    """List the distinct citations of records in alphabetical order."""
    sources = load_sources()
    return tuple(sorted({sources[name].citation for record in records for name in record.sources}))
