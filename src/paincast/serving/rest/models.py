"""The models that are served: one set at a time, which is exchanged as a whole; and an invented patient for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import product
from typing import Any

from paincast.contract import Contract
from paincast.predictor import Predictor
from paincast.schema import COMPARATORS
from paincast.serving.asked import ALL, list_treated
from paincast.serving.months import common_contract
from paincast.serving.rest.body import Known, Question

INVENTED: dict[str, Any] = {
    "episode_id": "example-1",
    "age_years": 57,
    "sex": "female",
    "bmi": 27.4,
    "pain_nrs": 7,
    "pain_duration_months": 24,
    "odi": 44,
    "opioid_mme": 0,
    "depression": False,
    "smoker": False,
    "diabetes": False,
    "anticoagulant": False,
    "active_infection": False,
}
"""A patient who does not exist."""


@dataclass(frozen=True, eq=False)
class ServedModels:
    """A set of models that are served together.

    Parameters
    ----------
    models : mapping of str to Predictor
        By name.
    sources : mapping of str to str
        Folder or address of each, by name.
    notes : tuple of str
        What should be known of them, see :func:`paincast.models_folder.list_notes`.
    loaded_at : str
        When they were gathered.
    """

    models: Mapping[str, Predictor]
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    loaded_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @cached_property
    def contract(self) -> Contract:
        """The contract by which patients are read."""
        return common_contract(self.models.values())

    @cached_property
    def known(self) -> Known:
        """Names that a request may ask."""
        outcomes = [*self.contract.outcomes, *(model.outcome for model in self.models.values())]
        return Known((*self.contract.techniques, *COMPARATORS), tuple(dict.fromkeys(outcomes)))

    @cached_property
    def versions(self) -> dict[str, str]:
        """Version of each model."""
        return {name: model.version for name, model in self.models.items()}

    def count_rows(self, question: Question) -> int:
        """Count the most rows that the answer to a question can have."""
        models = self.models.values()
        if isinstance(question.techniques, tuple):
            techniques = len(question.techniques)
        elif question.techniques == ALL:
            techniques = len({model.technique for model in models}) + 1
        else:
            treating = Counter(name for names in list_treated(models).values() for name in names)
            techniques = max(treating.values(), default=0) + 1
        outcomes = len(question.outcomes or {model.outcome for model in models})
        return len(question.patients) * techniques * outcomes * len(question.months or (None,))

    def count_absent(self, question: Question) -> int:
        """Count the techniques, outcomes and months that a question asks and no model answers."""
        named = {patient.get("technique") for patient in question.patients if isinstance(patient.get("technique"), str)}
        own = {model.technique for model in self.models.values()} | named
        techniques = question.techniques if isinstance(question.techniques, tuple) else own
        outcomes = question.outcomes or {model.outcome for model in self.models.values()}
        months = question.months or (None,)
        present = {
            (model.technique, model.outcome, model.horizon_months if question.months else None)
            for model in self.models.values()
        }
        return len(set(product(techniques, outcomes, months)) - present)

    def describe(self) -> list[dict[str, Any]]:
        """List the models with what a client should know of each."""
        return [
            {
                "name": name,
                "technique": model.technique,
                "outcome": model.outcome,
                "horizon_months": model.horizon_months,
                "is_primary": model.is_primary,
                "version": model.version,
                "use": model.mark,
                "basis": model.basis,
                "n_training": model.n_training,
                "n_real": model.n_real,
                "level": model.level,
                "indications": list(model.rules.indications),
                "contract": model.contract.digest if model.contract.declared else "",
                "validations": [
                    {
                        "cohort": validation.cohort,
                        "n": validation.n,
                        "o_e": validation.o_e,
                        "lower": validation.lower,
                        "upper": validation.upper,
                        "verdict": validation.verdict,
                    }
                    for validation in model.validations
                ],
                "source": self.sources.get(name, ""),
            }
            for name, model in self.models.items()
        ]


def make_patient(contract: Contract, indication: str) -> dict[str, Any]:
    """Make a patient who does not exist, with columns that most models read.

    Examples
    --------
    >>> from paincast.contract import BUILT_IN
    >>> make_patient(BUILT_IN, "lumbar_facet")["indication"]
    'lumbar_facet'
    """
    known = {name: value for name, value in INVENTED.items() if name in contract.episodes}
    return {**known, "indication": indication}
