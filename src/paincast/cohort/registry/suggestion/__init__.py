"""Draft a mapping from a registry's file: what each column is, at which time, in which unit, and how sure that is."""

from paincast.cohort.registry.suggestion.dry_run import format_dry_run, run_dry
from paincast.cohort.registry.suggestion.suggest import Suggestion, recognize_fields, suggest, suggest_mapping
from paincast.cohort.registry.suggestion.understood import format_understood

__all__ = [
    "Suggestion",
    "format_dry_run",
    "format_understood",
    "recognize_fields",
    "run_dry",
    "suggest",
    "suggest_mapping",
]
