"""Models in, patients in, one answer or one abstention for each patient and technique out."""

from __future__ import annotations

import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from paincast.cohort.rejects import join_rejects, list_unreadable
from paincast.cohort.validate import validate_patients
from paincast.eligibility import assess_technique, check_techniques, explain_missing_model, set_technique
from paincast.errors import DataError
from paincast.models_folder import list_notes
from paincast.outcomes import sort_outcomes
from paincast.predictor import MANIFEST, PREDICTION_COLUMNS, Predictor, load_predictor, make_abstentions
from paincast.schema import COMPARATORS, TECHNIQUES
from paincast.serving.addresses import fetch_predictor, is_address

DEFAULT_MODELS = Path("models")

Models = str | Path | Predictor | Mapping[str, Predictor]


def load_model(source: str | Path) -> Predictor:
    """Load one model.

    Parameters
    ----------
    source : str or Path
        Folder of a bundle, or an MLflow address: ``models:/name@candidate``, ``models:/name/3`` or ``runs:/…``. An
        address is looked up in the store of ``MLFLOW_TRACKING_URI``, or in ``mlflow.db`` of the working folder.

    Returns
    -------
    Predictor
        Its answers say ``research use only``, but for a registry address whose version is the champion of a gate that
        allows care, and stands on real patients.

    Raises
    ------
    DataError
        If there is no model, it is damaged or changed, or what the registry serves is not what was recorded.
    """
    if is_address(source):
        with tempfile.TemporaryDirectory(prefix="paincast-") as scratch:
            return fetch_predictor(str(source), Path(scratch))
    return load_predictor(source)


def load_models(source: str | Path) -> dict[str, Predictor]:
    """Load every model below a folder.

    Parameters
    ----------
    source : str or Path
        A folder that holds bundles at any depth (``models/`` after a training), one bundle, or an MLflow address.

    Returns
    -------
    dict of Predictor
        Keyed ``technique/outcome``, in the canonical order of techniques.

    Raises
    ------
    DataError
        If there is none, one is damaged, or two answer the same question.
    """
    if is_address(source):
        return _key_predictors([load_model(source)])
    folder = Path(source)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(
            f"no models: {folder} {what}; give the folder written by 'paincast train'", code="PC-SERVING-16"
        )
    manifests = sorted(folder.rglob(MANIFEST))
    bundles = [file.parent for file in manifests if not _is_draft(file.relative_to(folder))]
    if not bundles:
        raise DataError(
            f"no models: {folder} holds no {MANIFEST}; train models with 'paincast train'", code="PC-SERVING-17"
        )
    return _key_predictors([load_predictor(bundle) for bundle in bundles])


def _is_draft(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _key_predictors(predictors: Iterable[Predictor]) -> dict[str, Predictor]:
    keyed: dict[str, Predictor] = {}
    for predictor in sorted(predictors, key=lambda one: (TECHNIQUES.index(one.technique), one.outcome)):
        key = f"{predictor.technique}/{predictor.outcome}"
        if key in keyed:
            raise DataError(
                f"two models answer {key} (versions {keyed[key].version} and {predictor.version}); keep one",
                code="PC-SERVING-18",
            )
        keyed[key] = predictor
    return keyed


def predict(
    patients: pd.DataFrame, models: Models | None = None, *, techniques: Sequence[str] | None = None
) -> pd.DataFrame:
    """Predict what each patient should expect from each technique, or abstain and say why.

    Parameters
    ----------
    patients : DataFrame of shape (n, ...)
        Columns of the ``episodes`` table, of any type that can be read as the declared one. ``technique`` is optional:
        it adds the technique named to those that have a model.
    models : str, Path, Predictor or mapping, optional
        Folder of models, MLflow address, one model, or models keyed by any name; by default ``models/``.
    techniques : sequence of str, optional
        Techniques to answer for; by default those with a model and, for each patient, the one named.

    Returns
    -------
    DataFrame of shape (n × techniques × outcomes, len(PREDICTION_COLUMNS))
        Patients in their order, techniques in the canonical order: rows are never ranked by probability. A
        probability is a prognosis *given* the technique, not its effect.

    Raises
    ------
    DataError
        If the patients or models cannot be read.
    RefusalError
        If a technique is asked for that the evidence carries no answer for.

    Warns
    -----
    UserWarning
        If values were unusable and were left out; :func:`paincast.cohort.validate.validate_patients` lists them. If a
        folder mixes models of different evidence, or holds some that are older than its last training.
    """
    gathered = gather_models(models)
    if not isinstance(models, Predictor | Mapping):
        for note in list_notes(DEFAULT_MODELS if models is None else models, gathered, techniques).values():
            warnings.warn(note, UserWarning, stacklevel=2)
    rows, rejects = predict_checked(patients, gathered, techniques=techniques)
    if len(rejects):
        kinds = Counter(zip(rejects["column"], rejects["rule"], strict=True))
        said = "; ".join(f"{column}: {rule} ({n})" for (column, rule), n in kinds.items())
        warnings.warn(f"left out before predicting: {said}", UserWarning, stacklevel=2)
    return rows


def predict_checked(
    patients: pd.DataFrame,
    models: Mapping[str, Predictor],
    *,
    techniques: Sequence[str] | None = None,
    unread: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check patients, predict for those that can be read, and say what was left out.

    Parameters
    ----------
    patients : DataFrame of shape (n, ...)
        Columns of the ``episodes`` table.
    models : mapping of Predictor
        Models by ``technique/outcome``.
    techniques : sequence of str, optional
        Techniques to answer for.
    unread : DataFrame, optional
        Rejects of cells that a reader has emptied already; ``row`` is the position among the patients, from 1.

    Returns
    -------
    predictions : DataFrame
        As of :func:`predict`; ``cautions`` names the columns of a patient that were left out.
    rejects : DataFrame
        As of :func:`paincast.cohort.validate.validate_patients`.
    """
    episodes, rejects = validate_patients(patients)
    left_out = rejects.loc[rejects["action"] == "row left out", "row"]
    kept = pd.RangeIndex(1, len(patients) + 1).difference(pd.Index(left_out))
    unreadable = list_unreadable(rejects if unread is None else join_rejects([unread, rejects]), kept)
    rows = predict_episodes(episodes, models, techniques=techniques, unreadable=unreadable.set_axis(episodes.index))
    notes = unreadable.map(lambda names: f"left out as unusable: {', '.join(names)}" if names else "")
    told = rows["episode_id"].map(notes.set_axis(episodes["episode_id"])).astype("str")
    both = (rows["cautions"] != "") & (told != "")
    return rows.assign(cautions=rows["cautions"] + both.map({True: "; ", False: ""}) + told), rejects


def gather_models(models: Models | None) -> dict[str, Predictor]:
    """Give models by ``technique/outcome``, however they were handed over."""
    if isinstance(models, Predictor):
        return _key_predictors([models])
    if isinstance(models, Mapping):
        return _key_predictors(models.values())
    return load_models(DEFAULT_MODELS if models is None else models)


def predict_episodes(
    episodes: pd.DataFrame,
    models: Mapping[str, Predictor],
    *,
    techniques: Sequence[str] | None = None,
    unreadable: pd.Series | None = None,
) -> pd.DataFrame:
    """Predict for validated patients; see :func:`predict`.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Every column of the ``episodes`` table in its declared type.
    models : mapping of Predictor
        Models by ``technique/outcome``.
    techniques : sequence of str, optional
        Techniques to answer for.
    unreadable : Series of tuple of str, shape (n,), optional
        Columns of each patient in which a value was given but could not be used.

    Returns
    -------
    DataFrame of shape (n × techniques × outcomes, len(PREDICTION_COLUMNS))
    """
    check_techniques(techniques or ())
    patients = episodes.reset_index(drop=True)
    misread = None if unreadable is None else unreadable.reset_index(drop=True)
    asked_of_all = set(techniques) if techniques is not None else {model.technique for model in models.values()}
    outcomes = sort_outcomes(model.outcome for model in models.values())
    blocks = []
    for technique in TECHNIQUES + COMPARATORS:
        named = (patients["technique"] == technique) & (techniques is None)
        asked = set_technique(patients[named | (technique in asked_of_all)], technique)
        if len(asked):
            own = None if misread is None else misread[asked.index]
            blocks += [
                _answer(asked, own, technique, outcome, models.get(f"{technique}/{outcome}")) for outcome in outcomes
            ]
    if not blocks:
        return make_abstentions(patients.iloc[:0], "", "", "")
    return pd.concat(blocks).sort_index(kind="stable").reset_index(drop=True)[list(PREDICTION_COLUMNS)]


def _answer(
    episodes: pd.DataFrame, unreadable: pd.Series | None, technique: str, outcome: str, model: Predictor | None
) -> pd.DataFrame:
    if model is not None:
        return model.predict(episodes, unreadable=unreadable)
    rows = make_abstentions(episodes, technique, outcome, explain_missing_model(technique))
    return rows if technique in COMPARATORS else rows.assign(**assess_technique(technique, episodes))
