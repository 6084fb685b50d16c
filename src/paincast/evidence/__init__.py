"""Published evidence as data: a record for each technique and indication; every figure has a source and a tag.

The names are imported when they are first used: an answer reads no record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paincast.evidence.figures import PredictorEffect, Record, Source, Transform
    from paincast.evidence.records import (
        evidence_version,
        gaps_of,
        indications_of,
        list_citations,
        load_audit,
        load_record,
        load_records,
        load_sources,
        primary_horizon,
        records_of,
        simulated_records,
        simulated_techniques,
    )
    from paincast.evidence.safety import Complication, Contraindication

_HOMES = {
    "Complication": "safety",
    "Contraindication": "safety",
    "PredictorEffect": "figures",
    "Record": "figures",
    "Source": "figures",
    "Transform": "figures",
    "evidence_version": "records",
    "gaps_of": "records",
    "indications_of": "records",
    "list_citations": "records",
    "load_audit": "records",
    "load_record": "records",
    "load_records": "records",
    "load_sources": "records",
    "primary_horizon": "records",
    "records_of": "records",
    "simulated_records": "records",
    "simulated_techniques": "records",
}

__all__ = [
    "Complication",
    "Contraindication",
    "PredictorEffect",
    "Record",
    "Source",
    "Transform",
    "evidence_version",
    "gaps_of",
    "indications_of",
    "list_citations",
    "load_audit",
    "load_record",
    "load_records",
    "load_sources",
    "primary_horizon",
    "records_of",
    "simulated_records",
    "simulated_techniques",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'paincast.evidence' has no attribute '{name}'")
    return getattr(import_module(f"paincast.evidence.{_HOMES[name]}"), name)
