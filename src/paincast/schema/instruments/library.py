"""The instruments by name, and their listing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from paincast.schema.instruments.cognition_and_sleep import COGNITION, SLEEP
from paincast.schema.instruments.function import FUNCTION
from paincast.schema.instruments.instrument import Instrument
from paincast.schema.instruments.mood import MOOD
from paincast.schema.instruments.pain import PAIN, PAIN_TYPE
from paincast.schema.instruments.quality_of_life import FATIGUE_AND_SOCIAL, GLOBAL, QUALITY_OF_LIFE

INSTRUMENTS: Mapping[str, Instrument] = MappingProxyType(
    {
        instrument.name: instrument
        for instrument in (
            *PAIN,
            *FUNCTION,
            *MOOD,
            *SLEEP,
            *COGNITION,
            *PAIN_TYPE,
            *FATIGUE_AND_SOCIAL,
            *QUALITY_OF_LIFE,
            *GLOBAL,
        )
    }
)


def list_instruments() -> list[dict[str, str]]:
    """List the instruments with range, direction, scoring, responder thresholds, codes and names.

    Examples
    --------
    >>> {row["instrument"]: row["range"] for row in list_instruments()}["rmdq"]
    '0 to 24 RMDQ points'
    """
    return [
        {
            "instrument": instrument.name,
            "title": instrument.title,
            "domain": instrument.domain,
            "column": instrument.column,
            "range": f"{instrument.low:g} to {instrument.high:g} {instrument.unit}",
            "direction": instrument.direction,
            "scoring": str(instrument.scoring),
            "responder": "; or ".join(map(str, instrument.responder)),
            "codes": ", ".join(
                [f"LOINC {code}" for code in instrument.loinc] + [f"SNOMED {c}" for c in instrument.snomed]
            ),
            "names": ", ".join(instrument.names),
            "not": ", ".join(instrument.not_names),
            "licence": instrument.licence,
            "note": instrument.note,
        }
        for instrument in INSTRUMENTS.values()
    ]
