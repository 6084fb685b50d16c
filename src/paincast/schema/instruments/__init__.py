"""The library of instruments: questionnaires and scales of pain registries, as published."""

from paincast.schema.instruments.instrument import Instrument, Scoring, Threshold
from paincast.schema.instruments.library import INSTRUMENTS, list_instruments

__all__ = ["INSTRUMENTS", "Instrument", "Scoring", "Threshold", "list_instruments"]
