"""Convert a response of any kind to plain data and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from paincast.features import FittedEncoder
from paincast.files.serialization import PlainTable, from_plain, to_plain
from paincast.models.binary.kinds import KINDS, find_kind, read_model, write_model
from paincast.models.binary.model_kind import Candidate
from paincast.models.binary.response import ResponseModel
from paincast.models.binary.uncertainty_components import UncertaintyComponents
from paincast.models.calibration.affine import read_calibration, write_calibration
from paincast.models.calibration.calibrated import BinaryModel, join_model, split_model
from paincast.models.continuous.cumulative import CumulativeChangeResponse
from paincast.models.continuous.response import ChangeResponse
from paincast.models.domain import Domain
from paincast.models.survival.response import DurationResponse

FloatArray = npt.NDArray[np.float64]
Response = ResponseModel | DurationResponse | ChangeResponse | CumulativeChangeResponse
"""A model of a binary outcome, a duration, or a change in a score."""


_PLAIN: dict[str, Any] = {
    "encoder": FittedEncoder,
    "domain": Domain,
    "candidate": Candidate,
    "uncertainty_components": UncertaintyComponents,
    "selection": PlainTable,
}
"""Fields of a binary response that are written as plain data."""

_KEYS = {"uncertainty_components": "heterogeneity"}
"""Names in bundles that differ from those of the fields."""


ADDED_BY_CHANGE: dict[str, Any] = {
    "shares": FloatArray,
    "margins": FloatArray,
    "level": float,
    "mean_scale": float,
    "missing_variances": dict[str, float],
}
"""Fields of a cumulative change beside those of its model of half relief."""


def to_response_state(response: Response) -> dict[str, Any]:
    """Convert a response to plain data; models stored in separate files are returned by :func:`list_files`."""
    if isinstance(response, DurationResponse):
        plain = _leave_out_empty(to_plain(response), "missing_variances", "uncertainty_components")
        if response.shows_reasons:
            del plain["shows_reasons"]
        return {"duration": plain}
    if isinstance(response, ChangeResponse):
        plain = _leave_out_empty(to_plain(response), "missing_variances")
        return {"change": {**plain, "model": _leave_out_empty(plain["model"], "medians")}}
    if isinstance(response, CumulativeChangeResponse):
        added = {name: to_plain(getattr(response, name)) for name in ADDED_BY_CHANGE}
        return {**to_response_state(response.response), "cumulative_change": added}
    models = [split_model(model) for model in (response.model, *response.refits)]
    plain = {_KEYS.get(name, name): to_plain(getattr(response, name)) for name in _PLAIN}
    components = _KEYS["uncertainty_components"]
    plain[components] = _leave_out_empty(plain[components], "unexplained", "evidence_share")
    return {
        **plain,
        **({} if response.shows_reasons else {"shows_reasons": False}),
        "calibration": write_calibration(response.calibration),
        "models": [write_model(model) for model, _ in models],
        "calibrations_beside": [calibration for _, calibration in models],
    }


def _leave_out_empty(state: dict[str, Any], *names: str) -> dict[str, Any]:
    """Leave out what bundles of earlier versions do not have: they must keep their hash."""
    return {key: value for key, value in state.items() if value or key not in names}


class DamagedFileError(ValueError):
    """A separate file does not hold a model; ``name`` is that of the file."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def read_response(state: Mapping[str, Any], files: Mapping[str, bytes]) -> Response:
    """Build a response from :func:`to_response_state`.

    Parameters
    ----------
    state : mapping
        Plain data that include those of the response.
    files : mapping of str to bytes
        Content of the model files by name.

    Raises
    ------
    DamagedFileError
        If a file does not hold a model.
    """
    if "duration" in state:
        duration: DurationResponse = from_plain(state["duration"], DurationResponse)
        return duration
    if "change" in state:
        change: ChangeResponse = from_plain(state["change"], ChangeResponse)
        return change
    model, *refits = [
        join_model(_read_model(model_state, files, _name_file(position)), calibration)
        for position, (model_state, calibration) in enumerate(
            zip(state["models"], state["calibrations_beside"], strict=True)
        )
    ]
    response = ResponseModel(
        **{name: from_plain(state[_KEYS.get(name, name)], hint) for name, hint in _PLAIN.items()},
        model=model,
        refits=tuple(refits),
        calibration=read_calibration(state["calibration"]),
        shows_reasons=state.get("shows_reasons", True),
    )
    if "cumulative_change" not in state:
        return response
    added = {name: from_plain(state["cumulative_change"][name], hint) for name, hint in ADDED_BY_CHANGE.items()}
    return CumulativeChangeResponse(response=response, **added)


def _read_model(state: Mapping[str, Any], files: Mapping[str, bytes], name: str) -> BinaryModel:
    if KINDS[state["kind"]].read_file is None:
        return read_model(state, bytes)
    try:
        return read_model(state, lambda: files[name])
    except Exception:  # whatever bytes that no model was written to can provoke
        raise DamagedFileError(name) from None


def list_files(response: Response) -> dict[str, bytes]:
    """Return the models that are stored in separate files (trees in UBJ), as bytes by file name."""
    if isinstance(response, CumulativeChangeResponse):
        return list_files(response.response)
    if not isinstance(response, ResponseModel):
        return {}
    models = [split_model(model)[0] for model in (response.model, *response.refits)]
    written = [(_name_file(position), find_kind(model).write_file, model) for position, model in enumerate(models)]
    return {name: write(model) for name, write, model in written if write}


def name_files(state: Mapping[str, Any]) -> list[str]:
    """List the names of the files that belong to a state, in the order of :func:`list_files`."""
    return [_name_file(i) for i, model in enumerate(state.get("models", ())) if KINDS[model["kind"]].write_file]


def _name_file(position: int) -> str:
    return "booster.ubj" if position == 0 else f"refit-{position:03d}.ubj"
