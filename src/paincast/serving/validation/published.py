"""Validate saved models on every published data set that comes with a mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from paincast.cohort.registry.data_sets import fetch, list_data_sets
from paincast.cohort.registry.ingestion import ingest
from paincast.errors import DataError, RefusalError
from paincast.fingerprints import Fingerprints
from paincast.predictor import Predictor
from paincast.predictor.validation import Validation
from paincast.serving.validation.external import IDENTITY, ExternalValidation, evaluate_and_validate


@dataclass(frozen=True, kw_only=True)
class PublishedValidation:
    """What the patients of one published data set say.

    Parameters
    ----------
    name : str
        Data set.
    evaluation : ExternalValidation or None
        Tables; None where no model could be evaluated.
    found : mapping of str to Validation
        By content version of the model.
    reasons : mapping of str to str
        Why a model was not validated, by ``technique/outcome``; models of techniques that the set does not hold are not
        named.
    problem : str
        Why the set could not be used at all.
    """

    name: str
    evaluation: ExternalValidation | None = None
    found: Mapping[str, Validation] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def validate_on_published(
    models: Mapping[str, Predictor],
    folder: Path,
    *,
    mirror: str | None,
    seed: int,
    resamples: int,
    fingerprints: Mapping[str, Fingerprints],
) -> Iterator[PublishedValidation]:
    """Fetch and ingest every published data set, and evaluate the models on its patients.

    Models are evaluated at their month; a set without visits in the window of that month gives the reason. Patients
    that a model was trained on are left out.

    Parameters
    ----------
    models : mapping of Predictor
        By ``technique/outcome``.
    folder : Path
        Folder of the data sets; files that are there and correct are not downloaded again.
    mirror : str or None
        Folder or URL of a mirror.
    seed, resamples : int
        Of the bootstrap of patients; each data set has the same seed, so that it gives what it gives alone.
    fingerprints : mapping of str to Fingerprints
        Of training patients, by content version.

    Yields
    ------
    PublishedValidation
    """
    for data_set in list_data_sets():
        name = data_set.name
        try:
            cohort, _ = ingest(list(fetch(name, folder, mirror=mirror)), name)
        except DataError as error:
            yield PublishedValidation(name=name, problem=str(error))
            continue
        held = set(cohort.episodes["technique"])
        asked = {key: model for key, model in models.items() if model.technique in held}
        if not asked:
            problem = f"no model is for a technique of it: {', '.join(sorted(held))}"
            yield PublishedValidation(name=name, problem=problem)
            continue
        try:
            evaluation, found, not_recorded = evaluate_and_validate(
                asked,
                cohort,
                truth=None,
                rng=np.random.default_rng(seed),
                resamples=resamples,
                confidence=0.95,
                fingerprints=fingerprints,
                exclude_overlap=True,
            )
        except RefusalError as refusal:
            reason = str(refusal).removeprefix("nothing can be evaluated: ")
            yield PublishedValidation(name=name, reasons=dict.fromkeys(asked, reason))
            continue
        noted = evaluation.flow.set_index(list(IDENTITY))["note"].to_dict()
        notes = {model.name: noted.get(tuple(getattr(model, key) for key in IDENTITY)) for model in asked.values()}
        reasons = {key: str(notes.get(key)) or reason for key, reason in not_recorded.items()}
        yield PublishedValidation(name=name, evaluation=evaluation, found=found, reasons=reasons)
