"""Published evidence as data: a record for each technique and indication; every figure has a source and a tag."""

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
