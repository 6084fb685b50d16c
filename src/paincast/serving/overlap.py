"""Patients of a cohort whom a model was trained on: counted, refused, or left out when asked to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.disclosure.rounding import FEW, round_count
from paincast.disclosure.suppression import is_small
from paincast.errors import RefusalError
from paincast.fingerprints import Fingerprints, find_trained_on
from paincast.predictor import Predictor

NOT_CHECKED = "cannot be checked: no fingerprints of this model are at hand"

BoolArray = npt.NDArray[np.bool_]


def separate_trained_on(
    models: Sequence[Predictor], cohort: Cohort, fingerprints: Mapping[str, Fingerprints], *, exclude: bool
) -> tuple[Cohort, list[str]]:
    """Refuse a cohort with patients that models were trained on, or leave those patients out.

    Parameters
    ----------
    models : sequence of Predictor
        The models.
    cohort : Cohort
        What they are to be judged on; only episodes of a model's own technique are looked at.
    fingerprints : mapping of str to Fingerprints
        By content version; a model without any cannot be checked.
    exclude : bool
        Whether patients that a model was trained on are left out of its technique, instead of the whole being refused.

    Returns
    -------
    cohort : Cohort
        Without those left out.
    told : list of str
        For each model how many of the patients it was trained on, or that this cannot be checked.

    Raises
    ------
    RefusalError
        If a model was trained on patients of the cohort and they are not to be left out, or nobody would remain.
    """
    found = [_find(model, cohort, fingerprints.get(model.version)) for model in models]
    told = [_count(model, cohort, own) for model, own in zip(models, found, strict=True)]
    shared = [
        f"{model.technique}/{model.outcome} (version {model.version}) was trained on {said}"
        for model, own, said in zip(models, found, told, strict=True)
        if own is not None and own.any()
    ]
    if not shared:
        return cohort, told
    if not exclude:
        raise RefusalError(
            f"{'; '.join(shared)} of this cohort, on whom it looks better than it is; give a cohort that no model was "
            "trained on, or leave these patients out with --exclude-overlap",
            code="PC-SERVING-14",
        )
    kept = ~np.logical_or.reduce([own for own in found if own is not None])
    if not kept[cohort.episodes["technique"].isin({model.technique for model in models})].any():
        raise RefusalError(f"{'; '.join(shared)} of this cohort: without them nobody is left", code="PC-SERVING-15")
    return _keep(cohort, kept), [f"{said}, who are left out" if said[0] != "0" else said for said in told]


def _find(model: Predictor, cohort: Cohort, fingerprints: Fingerprints | None) -> BoolArray | None:
    """Find the episodes of a model's technique whose patients it was trained on; None where it cannot be checked."""
    if fingerprints is None:
        return None
    own = (cohort.episodes["technique"] == model.technique).to_numpy(bool)
    found = np.zeros(len(own), dtype=bool)
    found[own] = find_trained_on(fingerprints, cohort.episodes[own])
    return found


def _count(model: Predictor, cohort: Cohort, found: BoolArray | None) -> str:
    if found is None:
        return NOT_CHECKED
    patients = cohort.episodes["patient_id"]
    total = patients[cohort.episodes["technique"] == model.technique].nunique()
    shared = patients[found].nunique()
    # Beside the number of episodes that are left, all digits of either would tell of few.
    tell = str if cohort.basis == "synthetic" else _round
    if is_small(shared):
        return f"{FEW} of {FEW if is_small(total) else tell(total)} patients"
    if is_small(total - shared):
        return f"all but {FEW} of {tell(total)} patients"
    return f"{tell(shared)} of {tell(total)} patients"


def _round(n: int) -> str:
    return f"about {round_count(n)}" if n else "0"


def _keep(cohort: Cohort, kept: BoolArray) -> Cohort:
    episodes: pd.DataFrame = cohort.episodes[kept].reset_index(drop=True)
    ids = set(episodes["episode_id"])
    visits, events = (table[table["episode_id"].isin(ids)] for table in (cohort.visits, cohort.events))
    return replace(
        cohort, episodes=episodes, visits=visits.reset_index(drop=True), events=events.reset_index(drop=True)
    )
