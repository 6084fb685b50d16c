"""Records as plain data for other programs: what JSON can hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from paincast.evidence.comparators import Comparator, choose_comparator
from paincast.evidence.figures import Record
from paincast.evidence.records import evidence_version, load_comparisons, load_practice, load_sources
from paincast.evidence.scenarios import shift_curve


def describe_records(records: Iterable[Record], scenario: str = "literature") -> dict[str, Any]:
    """Describe records, their expected response in a scenario, and their sources.

    Parameters
    ----------
    records : iterable of Record
        Which records.
    scenario : str
        Which reading of the evidence ``expected_response`` follows.

    Returns
    -------
    dict
        ``evidence_version``, ``scenario``, ``records``, ``practice`` by technique, ``comparisons`` of two procedures,
        and ``sources``; keys are text.
    """
    chosen = tuple(records)
    treated = {(record.technique, name) for record in chosen for name in record.indications}
    comparisons = [
        item
        for item in load_comparisons()
        if {(arm.technique, item.indication) for arm in (item.first, item.second)} & treated
    ]
    practice = {name: load_practice(name) for name in dict.fromkeys(record.technique for record in chosen)}
    cited = {item.source for items in practice.values() for item in items} | {item.source for item in comparisons}
    names = sorted(cited.union(*(record.sources for record in chosen)))
    return {
        "evidence_version": evidence_version(),
        "scenario": scenario,
        "records": [{**to_plain(record), "expected_response": _expect(record, scenario)} for record in chosen],
        "practice": to_plain(practice),
        "comparisons": to_plain(comparisons),
        "sources": {name: to_plain(load_sources()[name]) for name in names},
    }


def _expect(record: Record, scenario: str) -> list[dict[str, Any]]:
    if record.response is None:
        return []
    return [
        {"month": month, "share": round(share, 9), "comparator": to_plain(_compare(record, month))}
        for month, share in shift_curve(record, scenario).items()
    ]


def _compare(record: Record, month: float) -> Comparator | None:
    return choose_comparator(record.own_comparators, "pain_response", month)


def to_plain(value: Any) -> Any:
    """Turn frozen records, mappings and tuples into dictionaries and lists.

    Examples
    --------
    >>> to_plain((1, {2.0: "a"}))
    [1, {'2': 'a'}]
    """
    if is_dataclass(value):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {_write_key(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return to_plain(value._asdict())
    if isinstance(value, (tuple, list)):
        return [to_plain(entry) for entry in value]
    return value


def _write_key(key: Any) -> str:
    return f"{key:g}" if isinstance(key, (int, float)) else str(key)
