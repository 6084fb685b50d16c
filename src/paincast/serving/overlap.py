"""Find patients of a cohort that a model was trained on; refuse the cohort, or leave them out on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.contract import Contract
from paincast.disclosure.rounding import FEW, round_count
from paincast.disclosure.suppression import is_small
from paincast.errors import RefusalError
from paincast.fingerprints import Fingerprints, find_trained_on
from paincast.predictor import Predictor
from paincast.schema import Column

NOT_CHECKED = "cannot be checked: no fingerprints of this model are at hand"

BoolArray = npt.NDArray[np.bool_]


def require_contract(models: Sequence[Predictor], cohort: Cohort) -> None:
    """Refuse a cohort whose contract declares something that a model uses otherwise, or not at all.

    Raises
    ------
    RefusalError
        With the names that differ.
    """
    for model in models:
        differing = _list_differing(model, cohort.contract)
        if differing:
            raise RefusalError(
                f"{model.name} was trained under a contract in which {', '.join(differing)} is declared otherwise than "
                "in that of the cohort, or this lacks it; ingest the cohort with the same declarations",
                code="PC-SERVING-37",
            )


def _list_differing(model: Predictor, theirs: Contract) -> list[str]:
    """List the columns and the outcome that a model uses and that another contract does not declare alike."""
    ours, question = model.contract, model.question
    measures = [line.measure for line in question.lines]
    inputs = [name for name in dict.fromkeys(model.response.encoder.owners) if name != "indication"]
    differing = [name for name in inputs if _mean(ours.episodes.get(name)) != _mean(theirs.episodes.get(name))]
    differing += [name for name in measures if _mean(ours.visits.get(name)) != _mean(theirs.visits.get(name))]
    asked = theirs.outcomes.get(model.outcome)
    if model.outcome in ours.outcomes and (asked is None or asked.answered_by(measures).lines != question.lines):
        differing.append(model.outcome)
    return list(dict.fromkeys(differing))


def _mean(column: Column | None) -> Column | None:
    """Return what a column means, without its words."""
    return None if column is None else replace(column, label="", description="")


def separate_trained_on(
    models: Sequence[Predictor], cohort: Cohort, fingerprints: Mapping[str, Fingerprints], *, exclude: bool
) -> tuple[Cohort, list[str]]:
    """Refuse a cohort that has patients the models were trained on, or leave those patients out.

    Parameters
    ----------
    models : sequence of Predictor
        The models.
    cohort : Cohort
        The cohort to evaluate them on; for each model, only episodes of its technique are checked.
    fingerprints : mapping of str to Fingerprints
        By content version; a model without fingerprints cannot be checked.
    exclude : bool
        Whether to leave out patients that a model was trained on, instead of refusing the cohort.

    Returns
    -------
    cohort : Cohort
        Without the patients left out.
    overlaps : list of str
        For each model, how many of the patients it was trained on, or that this cannot be checked.

    Raises
    ------
    RefusalError
        If a model was trained on patients of the cohort and ``exclude`` is false, if no patient would remain, or if
        the cohort has another contract (:func:`require_contract`).
    """
    require_contract(models, cohort)
    masks = [_find(model, cohort, fingerprints.get(model.version)) for model in models]
    overlaps = [_count(model, cohort, trained) for model, trained in zip(models, masks, strict=True)]
    shared = [
        f"{model.name} (version {model.version}) was trained on {overlap}"
        for model, trained, overlap in zip(models, masks, overlaps, strict=True)
        if trained is not None and trained.any()
    ]
    if not shared:
        return cohort, overlaps
    if not exclude:
        raise RefusalError(
            f"{'; '.join(shared)} of this cohort, so its performance would be overstated; give a cohort that no model "
            "was trained on, or leave these patients out with --exclude-overlap",
            code="PC-SERVING-14",
        )
    kept = ~np.logical_or.reduce([trained for trained in masks if trained is not None])
    if not kept[cohort.episodes["technique"].isin({model.technique for model in models})].any():
        raise RefusalError(f"{'; '.join(shared)} of this cohort: without them nobody is left", code="PC-SERVING-15")
    return _keep(cohort, kept), [
        f"{overlap}, who are left out" if overlap[0] != "0" else overlap for overlap in overlaps
    ]


def _find(model: Predictor, cohort: Cohort, fingerprints: Fingerprints | None) -> BoolArray | None:
    """Find the episodes of a model's technique whose patients it was trained on; None if that cannot be checked."""
    if fingerprints is None:
        return None
    of_technique = (cohort.episodes["technique"] == model.technique).to_numpy(bool)
    is_trained_on = np.zeros(len(of_technique), dtype=bool)
    is_trained_on[of_technique] = find_trained_on(fingerprints, cohort.episodes[of_technique])
    return is_trained_on


def _count(model: Predictor, cohort: Cohort, found: BoolArray | None) -> str:
    if found is None:
        return NOT_CHECKED
    patients = cohort.episodes["patient_id"]
    total = patients[cohort.episodes["technique"] == model.technique].nunique()
    shared = patients[found].nunique()
    # Together with the number of remaining episodes, exact counts would disclose small numbers.
    format_count = str if cohort.basis == "synthetic" else _round
    if is_small(shared):
        return f"{FEW} of {FEW if is_small(total) else format_count(total)} patients"
    if is_small(total - shared):
        return f"all but {FEW} of {format_count(total)} patients"
    return f"{format_count(shared)} of {format_count(total)} patients"


def _round(n: int) -> str:
    return f"about {round_count(n)}" if n else "0"


def _keep(cohort: Cohort, kept: BoolArray) -> Cohort:
    episodes: pd.DataFrame = cohort.episodes[kept].reset_index(drop=True)
    ids = set(episodes["episode_id"])
    visits, events = (table[table["episode_id"].isin(ids)] for table in (cohort.visits, cohort.events))
    return replace(
        cohort, episodes=episodes, visits=visits.reset_index(drop=True), events=events.reset_index(drop=True)
    )
