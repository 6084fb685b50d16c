"""The bundle: one model and all it needs to predict, explain and abstain, kept as a folder without pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paincast.cohort.tables import conform
from paincast.eligibility import (
    assess_contraindications,
    check_categories,
    check_readable,
    decide_answers,
    find_controls,
    join_reasons,
    note_missing_evidence,
)
from paincast.errors import DataError
from paincast.evidence.rules import TechniqueRules, read_rules, renew_contraindications
from paincast.explain import Explanation, explain_model, list_reasons
from paincast.features import EncodedVariable
from paincast.files import atomic_folder
from paincast.files.bounded import read_json
from paincast.files.declared_types import check_declared
from paincast.fingerprints import FILE, Fingerprints, write_fingerprints
from paincast.models.domain import find_strangers
from paincast.models.stored import Response, list_boosters, name_boosters, read_response, to_response_state
from paincast.outcomes import get_outcome
from paincast.schema import EPISODES, RESEARCH_MARK
from paincast.settings import BASES

MANIFEST = "bundle.json"
FORMAT = 2

PREDICTION_COLUMNS = (
    "episode_id",
    "patient_id",
    "technique",
    "outcome",
    "horizon_months",
    "probability",
    "lower",
    "upper",
    "expected",
    "expected_lower",
    "expected_upper",
    "level",
    "control_probability",
    "eligible",
    "ineligible_because",
    "cautions",
    "in_domain",
    "abstained",
    "abstained_because",
    "basis",
    "n_real",
    "use",
    "model_version",
    "reasons_for",
    "reasons_against",
    "not_assessed",
)
"""What a prediction returns, in order.

``lower`` and ``upper`` bound the individual's probability, ``expected_lower`` and ``expected_upper`` the individual's
change of pain, at ``level``. Of ``relief_duration`` the probability is that relief lasts beyond the horizon, and
``expected`` the median in months, where it lies within the months that are modelled. Of ``pain_change`` there is no
probability, and ``expected`` is the median in points: below 0 is less pain. ``use`` is ``research use only``, or empty
for a champion whose gate allows care: see :attr:`Predictor.mark`. ``not_assessed`` names the contraindications of the
technique that could not be assessed, because what they ask of the patient is unknown.
"""

APART = ("response", "rules", "version", "use")
"""Fields of a predictor that are no plain state of its bundle."""

ANSWERS = ("probability", "lower", "upper", "expected", "expected_lower", "expected_upper")


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A response model with everything it needs to answer for a patient.

    Parameters
    ----------
    technique, outcome : str
        What is done, and the question asked.
    horizon_months : float
        The month at which it is asked.
    window_months : tuple of float
        First and last month, included, of the visits that answer for the horizon.
    measures : tuple of str
        Columns of which one must be known before the procedure for the outcome to be asked; empty where none is needed.
    basis : {"synthetic", "real", "blended"}
        What the model stands on.
    n_training, n_real : int
        Episodes with an answer at the horizon, and how many of them are real.
    n_events : int or None
        Those with the outcome; None where the outcome is a number.
    level : float
        Level of the interval of the individual's probability or change.
    response : ResponseModel, DurationResponse or ChangeResponse
        The model.
    rules : TechniqueRules
        Indications, control response and contraindications.
    sources : tuple of str
        What the training cohort came from.
    performance : tuple of dict
        Honest out-of-fold metrics: ``metric, group, estimate, lower, upper, n, method``.
    version : str
        First twelve digits of the content hash; empty before the predictor is sealed.
    use : str
        What the registry says it may be used for, no part of the bundle: empty only for a champion whose gate allows
        care, see :func:`paincast.serving.predict.load_model`.
    """

    technique: str
    outcome: str
    horizon_months: float
    window_months: tuple[float, float]
    measures: tuple[str, ...]
    basis: str
    n_training: int
    n_events: int | None
    n_real: int
    level: float
    response: Response
    rules: TechniqueRules
    sources: tuple[str, ...] = ()
    performance: tuple[dict[str, Any], ...] = field(default=())
    version: str = ""
    use: str = RESEARCH_MARK

    @property
    def mark(self) -> str:
        """Give what every answer says of its use; on simulated patients it is research, whatever is registered."""
        return RESEARCH_MARK if self.basis == "synthetic" else self.use

    def predict(self, episodes: pd.DataFrame, *, unreadable: pd.Series | None = None) -> pd.DataFrame:
        """Predict the outcome for each patient, or abstain with a reason.

        Parameters
        ----------
        episodes : DataFrame of shape (n, ...)
            Patients in the types of the contract (see :func:`paincast.cohort.validate.validate_patients`).
        unreadable : Series of tuple of str, shape (n,), optional
            Columns of each patient in which a value was given but could not be used
            (:func:`paincast.cohort.rejects.list_unreadable`). The model abstains where it would use one of them: a
            value that was misread is not a value that is missing.

        Returns
        -------
        DataFrame of shape (n, len(PREDICTION_COLUMNS))
            Indexed like ``episodes``. ``probability`` is the share of such patients expected to have the outcome
            *given* the technique, and ``expected`` their median: a prognosis, not the effect of the technique.
        """
        encoder = self.response.encoder
        out_of_domain = find_strangers(self.response.domain, encoder, episodes)
        used, required = {variable.name for variable in encoder.variables_}, {*self.measures, "indication"}
        categories = {variable.name: variable.levels for variable in encoder.variables_ if variable.kind == "category"}
        because = decide_answers(
            self.rules,
            get_outcome(self.outcome),
            episodes,
            unreadable=check_readable(episodes.index, unreadable, used=used, required=required),
            unseen=check_categories(self.rules, episodes, encoder.find_unseen(episodes), categories),
            out_of_domain=out_of_domain,
        )
        answered = because == ""
        assessed = assess_contraindications(renew_contraindications(self.technique, self.rules), episodes)
        cautions = [note_missing_evidence(self.rules, episodes), assessed["cautions"]]
        answer = self.response.answer(episodes, self.level).reindex(columns=list(ANSWERS))
        reasons_for, reasons_against = list_reasons(self.explain(episodes).mask_rows(~answered))
        rows = make_abstentions(episodes, self.technique, self.outcome, because)
        return rows.assign(
            horizon_months=self.horizon_months,
            **{name: np.where(answered, answer[name], np.nan) for name in ANSWERS},
            level=np.where(answered, self.level, np.nan),
            control_probability=find_controls(self.rules, episodes),
            **assessed.assign(cautions=join_reasons(episodes.index, cautions)),
            in_domain=(out_of_domain == "").astype("boolean"),
            abstained=~answered,
            basis=self.basis,
            n_real=self.n_real,
            use=self.mark,
            model_version=self.version,
            reasons_for=pd.Series(reasons_for, index=episodes.index, dtype=object),
            reasons_against=pd.Series(reasons_against, index=episodes.index, dtype=object),
        )

    def explain(self, episodes: pd.DataFrame) -> Explanation:
        """Give contributions that add up, with the base, to the log odds served, or to the change in points."""
        return explain_model(self.response, episodes)


def make_abstentions(
    episodes: pd.DataFrame, technique: str | pd.Series, outcome: str, because: str | pd.Series
) -> pd.DataFrame:
    """Make prediction rows without an answer, of which eligibility and domain are unknown.

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
    no_reasons: pd.Series = pd.Series([[] for _ in range(len(episodes))], index=episodes.index, dtype=object)
    rows = pd.DataFrame(
        {
            "episode_id": episodes["episode_id"],
            "patient_id": episodes["patient_id"],
            "technique": technique,
            "outcome": outcome,
            "horizon_months": np.nan,
            **dict.fromkeys(ANSWERS, np.nan),
            "level": np.nan,
            "control_probability": np.nan,
            "eligible": pd.array([pd.NA] * len(episodes), dtype="boolean"),
            "ineligible_because": "",
            "cautions": "",
            "in_domain": pd.array([pd.NA] * len(episodes), dtype="boolean"),
            "abstained": True,
            "abstained_because": because,
            "basis": "",
            "n_real": 0,
            "use": RESEARCH_MARK,
            "model_version": "",
            "reasons_for": no_reasons,
            "reasons_against": no_reasons,
            "not_assessed": "",
        },
        index=episodes.index,
    )
    return rows[list(PREDICTION_COLUMNS)]


def seal_predictor(predictor: Predictor) -> Predictor:
    """Give a predictor its version: a hash of everything it predicts with."""
    return replace(predictor, version=_hash_content(_to_state(predictor), list_boosters(predictor.response).values()))


def save_predictor(predictor: Predictor, path: str | Path, fingerprints: Fingerprints | None = None) -> Path:
    """Write a predictor as a bundle: ``bundle.json`` and, for trees, boosters in UBJ. No pickle.

    Parameters
    ----------
    predictor : Predictor
        A sealed predictor.
    path : str or Path
        Folder; an existing bundle is replaced.
    fingerprints : Fingerprints, optional
        Of the training episodes, kept beside the bundle for its owner alone.

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
        for name, raw in list_boosters(predictor.response).items():
            (folder / name).write_bytes(raw)
        if fingerprints is not None:
            write_fingerprints(fingerprints, folder / FILE)
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
        state = read_json(folder / MANIFEST)
    except FileNotFoundError as error:
        raise DataError(f"{folder} is not a model folder ({MANIFEST} is missing)", code="PC-MODEL-16") from error
    if state.get("format") != FORMAT:
        told = state.get("format") if isinstance(state.get("format"), int) else "unknown"
        raise DataError(
            f"{folder} has bundle format {told}; this version reads format {FORMAT}; train the model again",
            code="PC-MODEL-17",
        )
    try:
        version = state.pop("version")
        if _hash_content(state, [(folder / name).read_bytes() for name in name_boosters(state)]) != version:
            raise DataError(
                f"{folder} was changed after it was saved: its content does not match its version", code="PC-MODEL-18"
            )
        predictor = replace(_from_state(state, folder), version=version)
        _check_usable(predictor)
    except DataError:
        raise
    except Exception as error:  # whatever a file that was not written by save_predictor can provoke
        raise DataError(f"{folder} is damaged ({type(error).__name__}); fetch it again", code="PC-MODEL-19") from error
    return predictor


def _check_usable(predictor: Predictor) -> None:
    """Hold a predictor to the types it declares, and have it answer for a patient of whom next to nothing is known."""
    check_declared(predictor, Predictor)
    check_declared(predictor.response.encoder.variables_, tuple[EncodedVariable, ...])
    controls = tuple(control["probability"] for control in predictor.rules.controls)
    check_declared(controls, tuple[float, ...])
    _require(all(0 <= probability <= 1 for probability in controls))
    _require(predictor.basis in BASES and predictor.n_real >= 0 and 0 < predictor.level < 1)
    unknown: dict[str, list[Any]] = {
        "episode_id": ["probe"],
        "patient_id": ["probe"],
        "technique": [predictor.technique],
    }
    unknown |= {name: [EPISODES[name].high] for name in predictor.measures}
    indication = pd.Series(predictor.rules.indications[:1], dtype="str")
    probe = conform("episodes", pd.DataFrame(unknown).assign(indication=indication))
    predictor.predict(probe)
    answer = predictor.response.answer(probe, predictor.level)
    is_number = get_outcome(predictor.outcome).kind == "continuous"
    names = ("expected_lower", "expected", "expected_upper") if is_number else ("lower", "probability", "upper")
    lower, estimate, upper = (float(answer[name].iloc[0]) for name in names)
    _require(lower <= upper and bool(np.isfinite([lower, estimate, upper]).all()))


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("a value is not one that a bundle can hold")


def _hash_content(state: Mapping[str, Any], boosters: Iterable[bytes]) -> str:
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode())
    for raw in boosters:
        digest.update(raw)
    return digest.hexdigest()[:12]


def _to_state(predictor: Predictor) -> dict[str, Any]:
    plain = {name: getattr(predictor, name) for name in Predictor.__dataclass_fields__ if name not in APART}
    rules = asdict(predictor.rules)
    if not predictor.rules.without_evidence:
        del rules["without_evidence"]  # bundles of before do not hold it, and are hashed as they were saved
    return {"format": FORMAT, **plain, "rules": rules, **to_response_state(predictor.response)}


def _from_state(state: dict[str, Any], folder: Path) -> Predictor:
    plain = {name: state[name] for name in Predictor.__dataclass_fields__ if name not in APART}
    for name in ("sources", "performance", "window_months", "measures"):
        check_declared(plain[name], list, name)
        plain[name] = tuple(plain[name])
    return Predictor(**plain, response=read_response(state, folder), rules=read_rules(state["rules"]))
