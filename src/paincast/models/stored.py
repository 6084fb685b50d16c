"""A response as plain data, of whichever kind its outcome is, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from paincast.features import EpisodeEncoder
from paincast.models.binary.additive import AdditiveModel
from paincast.models.binary.candidates import Candidate
from paincast.models.binary.heterogeneity import Heterogeneity
from paincast.models.binary.learners import BoostedModel, LinearModel, Model, read_booster
from paincast.models.binary.response import ResponseModel
from paincast.models.calibration.affine import read_calibration
from paincast.models.calibration.calibrated import MarginModel, join_model, split_model
from paincast.models.continuous.response import ChangeResponse
from paincast.models.domain import Domain
from paincast.models.survival.response import DurationResponse

Response = ResponseModel | DurationResponse | ChangeResponse
"""What answers a question whose answer is yes or no, a time, or a number."""


def to_response_state(response: Response) -> dict[str, Any]:
    """Give a response as plain data; trees have files of their own, see :func:`list_boosters`."""
    if isinstance(response, DurationResponse):
        return {"duration": response.to_state()}
    if isinstance(response, ChangeResponse):
        return {"change": response.to_state()}
    models = [split_model(model) for model in (response.model, *response.refits)]
    return {
        "encoder": response.encoder.to_state(),
        "domain": response.domain.to_state(),
        "candidate": {"kind": response.candidate.kind, "parameters": response.candidate.parameters},
        "calibration": response.calibration.to_state(),
        "heterogeneity": response.heterogeneity.to_state(),
        "selection": response.selection.to_dict(orient="records"),
        "models": [_to_model_state(model) for model, _ in models],
        "calibrations_beside": [beside for _, beside in models],
    }


def read_response(state: dict[str, Any], folder: Path) -> Response:
    """Build a response from :func:`to_response_state`.

    Parameters
    ----------
    state : dict
        Plain data, among them those of the response.
    folder : Path
        Where the files of trees are.
    """
    if "duration" in state:
        return DurationResponse.from_state(state["duration"])
    if "change" in state:
        return ChangeResponse.from_state(state["change"])
    model, *refits = [
        join_model(_read_model(one, folder / _booster_name(position)), beside)
        for position, (one, beside) in enumerate(zip(state["models"], state["calibrations_beside"], strict=True))
    ]
    return ResponseModel(
        encoder=EpisodeEncoder.from_state(state["encoder"]),
        model=model,
        refits=tuple(refits),
        domain=Domain.from_state(state["domain"]),
        candidate=Candidate(**state["candidate"]),
        calibration=read_calibration(state["calibration"]),
        heterogeneity=Heterogeneity.from_state(state["heterogeneity"]),
        selection=pd.DataFrame(state["selection"]),
    )


def list_boosters(response: Response) -> dict[str, bytes]:
    """Give the trees of a response in UBJ, by name of their file."""
    if not isinstance(response, ResponseModel):
        return {}
    models = [split_model(model)[0] for model in (response.model, *response.refits)]
    return {
        _booster_name(position): bytes(model.booster.save_raw("ubj"))
        for position, model in enumerate(models)
        if isinstance(model, BoostedModel)
    }


def name_boosters(state: dict[str, Any]) -> list[str]:
    """Name the files of trees that belong to a state, in the order of :func:`list_boosters`."""
    return [_booster_name(place) for place, one in enumerate(state.get("models", ())) if one["kind"] == "xgboost"]


def _to_model_state(model: MarginModel) -> dict[str, Any]:
    """Give a model with its kind as plain data; of trees the kind alone, for they have a file of their own."""
    if isinstance(model, BoostedModel):
        return {"kind": "xgboost"}
    if isinstance(model, AdditiveModel):
        return {"kind": "ebm", **model.to_state()}
    if isinstance(model, LinearModel):
        return {"kind": "logistic", **model.to_state()}
    raise TypeError(f"a bundle has no place for a {type(model).__name__}")


def _read_model(state: dict[str, Any], booster: Path) -> Model:
    if state["kind"] == "xgboost":
        return BoostedModel(booster=read_booster(booster.read_bytes()))
    kinds: dict[str, type[AdditiveModel] | type[LinearModel]] = {"ebm": AdditiveModel, "logistic": LinearModel}
    return kinds[state["kind"]].from_state(state)


def _booster_name(position: int) -> str:
    return "booster.ubj" if position == 0 else f"refit-{position:03d}.ubj"
