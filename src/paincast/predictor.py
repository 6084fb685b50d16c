"""The bundle: one model and all it needs to predict, explain and abstain, kept as a folder without pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, ndtri

from paincast.errors import DataError
from paincast.explain import Explanation, explain_model, list_reasons
from paincast.features import EpisodeEncoder
from paincast.files import atomic_folder
from paincast.models.calibration import AffineCalibration
from paincast.models.domain import Domain, find_strangers
from paincast.models.learners import BoostedModel, LinearModel, Model, read_booster
from paincast.models.response import ResponseModel
from paincast.models.selection import Candidate

MANIFEST = "bundle.json"
FORMAT = 1

PREDICTION_COLUMNS = (
    "episode_id",
    "patient_id",
    "technique",
    "outcome",
    "horizon_months",
    "probability",
    "lower",
    "upper",
    "control_probability",
    "eligible",
    "ineligible_because",
    "cautions",
    "in_domain",
    "abstained",
    "abstained_because",
    "basis",
    "n_real",
    "model_version",
    "reasons_for",
    "reasons_against",
)
"""What a prediction returns, in order; ``lower`` and ``upper`` bound the individual's probability."""


@dataclass(frozen=True, kw_only=True)
class TechniqueRules:
    """What the evidence says about a technique beside the model.

    Parameters
    ----------
    indications : tuple of str
        Indications the technique treats.
    controls : tuple of dict
        ``indication, approach, probability``: share that has the outcome without the procedure.
    contraindications : tuple of dict
        ``column, level, reason``: a true value of the column makes the patient ineligible (level ``absolute``) or
        calls for care.
    """

    indications: tuple[str, ...]
    controls: tuple[dict[str, Any], ...] = ()
    contraindications: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A response model with everything it needs to answer for a patient.

    Parameters
    ----------
    technique, outcome : str
        What is done, and the question asked.
    horizon_months : float
        The month at which it is asked.
    measure : str
        Column that must be known before the procedure for the outcome to exist.
    basis : {"synthetic", "real", "blended"}
        What the model stands on.
    n_training, n_events, n_real : int
        Episodes with follow-up, those with the outcome, and how many of the episodes are real.
    level : float
        Level of the interval of the individual's probability.
    response : ResponseModel
        The model.
    rules : TechniqueRules
        Indications, control response and contraindications.
    sources : tuple of str
        What the training cohort came from.
    performance : tuple of dict
        Honest out-of-fold metrics: ``metric, group, estimate, lower, upper, n, method``.
    version : str
        First twelve digits of the content hash; empty before the predictor is sealed.
    """

    technique: str
    outcome: str
    horizon_months: float
    measure: str
    basis: str
    n_training: int
    n_events: int
    n_real: int
    level: float
    response: ResponseModel
    rules: TechniqueRules
    sources: tuple[str, ...] = ()
    performance: tuple[dict[str, Any], ...] = field(default=())
    version: str = ""

    def predict(self, episodes: pd.DataFrame) -> pd.DataFrame:
        """Predict the outcome for each patient, or abstain with a reason.

        Parameters
        ----------
        episodes : DataFrame of shape (n, ...)
            Patients in the types of the contract (see :func:`paincast.cohort.validate.validate_patients`).

        Returns
        -------
        DataFrame of shape (n, len(PREDICTION_COLUMNS))
            Indexed like ``episodes``. ``probability`` is the share of such patients expected to have the outcome
            *given* the technique: a prognosis, not the effect of the technique.
        """
        because = self._find_abstentions(episodes)
        answered = because == ""
        logits = self.response.margins(episodes)
        reach = ndtri(0.5 + self.level / 2) * self.response.margin_spread(episodes)
        reasons_for, reasons_against = list_reasons(self.explain(episodes))
        forbidden, cautions = self._check_contraindications(episodes)
        rows = make_abstentions(episodes, self.technique, self.outcome, because)
        return rows.assign(
            horizon_months=self.horizon_months,
            probability=np.where(answered, expit(logits), np.nan),
            lower=np.where(answered, expit(logits - reach), np.nan),
            upper=np.where(answered, expit(logits + reach), np.nan),
            control_probability=self._find_controls(episodes),
            eligible=forbidden == "",
            ineligible_because=forbidden,
            cautions=cautions,
            in_domain=self._find_strangers(episodes) == "",
            abstained=~answered,
            basis=self.basis,
            n_real=self.n_real,
            model_version=self.version,
            reasons_for=[reasons if told else [] for reasons, told in zip(reasons_for, answered, strict=True)],
            reasons_against=[reasons if told else [] for reasons, told in zip(reasons_against, answered, strict=True)],
        )

    def explain(self, episodes: pd.DataFrame) -> Explanation:
        """Give SHAP values that add up, with the base, to the log odds of the served probability."""
        return explain_model(self.response, episodes)

    def _find_abstentions(self, episodes: pd.DataFrame) -> pd.Series:
        return _join_reasons(
            [
                self._check_indication(episodes),
                self._check_levels(episodes),
                self._check_measure(episodes),
                self._find_strangers(episodes),
            ]
        )

    def _check_indication(self, episodes: pd.DataFrame) -> pd.Series:
        known = ", ".join(self.rules.indications)
        indication = episodes["indication"]
        wrong = indication.notna() & ~indication.isin(self.rules.indications)
        return _say(wrong, f"the indication is not one {self.technique} treats (it treats {known})") + _say(
            indication.isna(), "the indication is missing"
        )

    def _check_levels(self, episodes: pd.DataFrame) -> pd.Series:
        fits = episodes["indication"].isin(self.rules.indications)
        unseen = self.response.encoder.find_unseen(episodes)
        categories = [v for v in self.response.encoder.variables_ if v.kind == "category" and v.name in unseen]
        return _join_reasons(
            [_say(unseen[v.name] & fits, f"{v.name} is none the model has seen ({', '.join(v.levels)})") for v in categories],
            index=episodes.index,
        )

    def _check_measure(self, episodes: pd.DataFrame) -> pd.Series:
        before = episodes[self.measure].astype(float)
        return _say(before.isna(), f"{self.measure} is missing; it is required") + _say(
            before == 0, f"{self.measure} is 0 before the procedure: no fall is possible"
        )

    def _find_strangers(self, episodes: pd.DataFrame) -> pd.Series:
        return find_strangers(self.response.domain, self.response.encoder, episodes)

    def _find_controls(self, episodes: pd.DataFrame) -> pd.Series:
        found = pd.Series(np.nan, index=episodes.index)
        for control in self.rules.controls:
            fits = episodes["indication"] == control["indication"]
            if control["approach"] is not None:
                fits &= episodes["approach"] == control["approach"]
            found = found.mask(fits & found.isna(), control["probability"])
        return found

    def _check_contraindications(self, episodes: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
        said = {True: [_say(pd.Series(False, index=episodes.index), "")], False: []}
        for rule in self.rules.contraindications:
            holds = episodes[rule["column"]].fillna(False).astype(bool)
            said[rule["level"] == "absolute"].append(_say(holds, rule["reason"]))
        return _join_reasons(said[True]), _join_reasons(said[False], index=episodes.index)


def make_abstentions(
    episodes: pd.DataFrame, technique: str | pd.Series, outcome: str, because: str | pd.Series
) -> pd.DataFrame:
    """Make prediction rows without a probability.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Patients.
    technique : str or Series
        Technique asked about.
    outcome : str
        Question asked.
    because : str or Series
        Reason for not answering.

    Returns
    -------
    DataFrame of shape (n, len(PREDICTION_COLUMNS))
    """
    empty_lists: list[list[Any]] = [[] for _ in range(len(episodes))]
    rows = pd.DataFrame(
        {
            "episode_id": episodes["episode_id"],
            "patient_id": episodes["patient_id"],
            "technique": technique,
            "outcome": outcome,
            "horizon_months": np.nan,
            "probability": np.nan,
            "lower": np.nan,
            "upper": np.nan,
            "control_probability": np.nan,
            "eligible": False,
            "ineligible_because": "",
            "cautions": "",
            "in_domain": False,
            "abstained": True,
            "abstained_because": because,
            "basis": "",
            "n_real": 0,
            "model_version": "",
            "reasons_for": empty_lists,
            "reasons_against": empty_lists,
        },
        index=episodes.index,
    )
    return rows[list(PREDICTION_COLUMNS)]


def seal_predictor(predictor: Predictor) -> Predictor:
    """Give a predictor its version: a hash of everything it predicts with."""
    digest = hashlib.sha256(json.dumps(_to_state(predictor), sort_keys=True).encode())
    for raw in _booster_files(predictor.response).values():
        digest.update(raw)
    return replace(predictor, version=digest.hexdigest()[:12])


def save_predictor(predictor: Predictor, path: str | Path) -> Path:
    """Write a predictor as a bundle: ``bundle.json`` and, for trees, boosters in UBJ. No pickle.

    Parameters
    ----------
    predictor : Predictor
        A sealed predictor.
    path : str or Path
        Folder; an existing bundle is replaced.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    with atomic_folder(path, marker=MANIFEST) as folder:
        state = {**_to_state(predictor), "version": predictor.version}
        (folder / MANIFEST).write_text(json.dumps(state, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        for name, raw in _booster_files(predictor.response).items():
            (folder / name).write_bytes(raw)
    return Path(path)


def load_predictor(path: str | Path) -> Predictor:
    """Read a bundle and check that it is what was saved.

    Raises
    ------
    DataError
        If the folder is no bundle, of another format, damaged or changed.
    """
    folder = Path(path)
    try:
        state = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{folder} is no model: it holds no {MANIFEST}; train one with 'paincast train'") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / MANIFEST} cannot be read: {type(error).__name__}") from error
    if state.get("format") != FORMAT:
        raise DataError(f"{folder} has bundle format {state.get('format')}; this version reads format {FORMAT}")
    try:
        predictor = _from_state(state, folder)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(f"{folder} is damaged ({type(error).__name__}); train or fetch the model again") from error
    if seal_predictor(predictor).version != state["version"]:
        raise DataError(f"{folder} was changed after it was saved: its content does not match version {state['version']}")
    return replace(predictor, version=state["version"])


def _to_state(predictor: Predictor) -> dict[str, Any]:
    response = predictor.response
    plain = {
        name: getattr(predictor, name)
        for name in Predictor.__dataclass_fields__
        if name not in ("response", "rules", "version")
    }
    return {
        "format": FORMAT,
        **plain,
        "rules": {
            "indications": list(predictor.rules.indications),
            "controls": list(predictor.rules.controls),
            "contraindications": list(predictor.rules.contraindications),
        },
        "encoder": response.encoder.to_state(),
        "domain": response.domain.to_state(),
        "candidate": {"kind": response.candidate.kind, "parameters": response.candidate.parameters},
        "calibration": {"intercept": response.calibration.intercept, "slope": response.calibration.slope},
        "selection": response.selection.to_dict(orient="records"),
        "models": [_linear_state(model) for model in (response.model, *response.refits) if isinstance(model, LinearModel)],
        "n_refits": len(response.refits),
    }


def _from_state(state: dict[str, Any], folder: Path) -> Predictor:
    model, *refits = _read_models(state, folder)
    response = ResponseModel(
        encoder=EpisodeEncoder.from_state(state["encoder"]),
        model=model,
        refits=tuple(refits),
        domain=Domain.from_state(state["domain"]),
        candidate=Candidate(**state["candidate"]),
        calibration=AffineCalibration(**state["calibration"]),
        selection=pd.DataFrame(state["selection"]),
    )
    rules = TechniqueRules(**{name: tuple(rows) for name, rows in state["rules"].items()})
    plain = {
        name: state[name] for name in Predictor.__dataclass_fields__ if name not in ("response", "rules", "version")
    }
    plain |= {"sources": tuple(plain["sources"]), "performance": tuple(plain["performance"])}
    return Predictor(**plain, response=response, rules=rules)


def _read_models(state: dict[str, Any], folder: Path) -> list[Model]:
    if state["candidate"]["kind"] == "logistic":
        return [
            LinearModel(
                intercept=one["intercept"],
                coefficients=np.array(one["coefficients"], dtype=float),
                means=np.array(one["means"], dtype=float),
            )
            for one in state["models"]
        ]
    names = [_booster_name(position) for position in range(state["n_refits"] + 1)]
    return [BoostedModel(booster=read_booster((folder / name).read_bytes())) for name in names]


def _linear_state(model: LinearModel) -> dict[str, Any]:
    return {
        "intercept": model.intercept,
        "coefficients": model.coefficients.tolist(),
        "means": model.means.tolist(),
    }


def _booster_files(response: ResponseModel) -> dict[str, bytes]:
    boosted = [model for model in (response.model, *response.refits) if isinstance(model, BoostedModel)]
    return {_booster_name(position): bytes(model.booster.save_raw("ubj")) for position, model in enumerate(boosted)}


def _booster_name(position: int) -> str:
    return "booster.ubj" if position == 0 else f"refit-{position:03d}.ubj"


def _say(holds: pd.Series, words: str) -> pd.Series:
    texts: npt.NDArray[np.object_] = np.where(holds.to_numpy(bool), words, "").astype(object)
    return pd.Series(texts, index=holds.index, dtype="str")


def _join_reasons(reasons: list[pd.Series], index: pd.Index | None = None) -> pd.Series:
    """Join the reasons of each row that are not empty with semicolons."""
    if not reasons:
        return pd.Series("", index=index, dtype="str")
    joined = ["; ".join(text for text in row if text) for row in zip(*reasons, strict=True)]
    return pd.Series(joined, index=reasons[0].index, dtype="str")
