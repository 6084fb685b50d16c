"""Load models and predict: one prediction or abstention for each patient, technique, outcome and month."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from paincast.cohort.reading.patients import read_patients
from paincast.contract import Contract
from paincast.eligibility import assess_technique, check_techniques, set_technique
from paincast.errors import DataError, SettingsError
from paincast.models_folder import list_notes
from paincast.outcomes import sort_outcomes
from paincast.predictor import MANIFEST, PREDICTION_COLUMNS, Answers, Predictor, load_predictor, make_abstentions
from paincast.predictor.bundle import TrustedKeys, read_trusted_keys
from paincast.predictor.route import answer_patients, restore_index, warn_of_rejects
from paincast.schema import COMPARATORS
from paincast.serving.addresses import fetch_predictor, is_address
from paincast.serving.coherence import bring_in_line
from paincast.serving.months import Asked, check_months, choose_model, common_contract, explain_no_model, select_models
from paincast.serving.validation.validations import list_bundles

DEFAULT_MODELS = Path("models")

Models = str | Path | Predictor | Mapping[str, Predictor]
Trusted = str | Path | TrustedKeys | None
"""Public keys by which models must be signed: a PEM file, or None for models that need no signature."""


def load_model(source: str | Path, *, trusted_keys: Trusted = None) -> Predictor:
    """Load one model.

    Parameters
    ----------
    source : str or Path
        Folder of a bundle, or an MLflow address: ``models:/name@candidate``, ``models:/name/3`` or ``runs:/…``. An
        address is looked up in the store of ``MLFLOW_TRACKING_URI``, or in ``mlflow.db`` of the working folder.
    trusted_keys : str, Path or TrustedKeys, optional
        PEM file of public keys (Ed25519), one of which must have signed the model; by default none need have.

    Returns
    -------
    Predictor
        Its predictions are marked ``research use only``, unless the address is that of a champion trained on real
        patients and promoted by a gate that allows use in care.

    Raises
    ------
    DataError
        If there is no model, it is damaged or changed, the registered bundle is not the one that was logged, or no
        trusted key signed it.
    SettingsError
        If the trusted keys cannot be read.
    """
    keys = None if trusted_keys is None else read_trusted_keys(trusted_keys)
    if is_address(source):
        with tempfile.TemporaryDirectory(prefix="paincast-") as scratch:
            return fetch_predictor(str(source), Path(scratch), keys)
    return load_predictor(source, trusted_keys=keys)


def load_models(source: str | Path, *, trusted_keys: Trusted = None) -> dict[str, Predictor]:
    """Load all models in a folder.

    Parameters
    ----------
    source : str or Path
        A folder with bundles at any depth (``models/`` after a training), one bundle, or an MLflow address.
    trusted_keys : str, Path or TrustedKeys, optional
        As for :func:`load_model`: every model must be signed.

    Returns
    -------
    dict of Predictor
        Keyed ``technique/outcome``, which the month of a further one follows (``technique/outcome.month-12``), in the
        canonical order of techniques, then by outcome and month.

    Raises
    ------
    DataError
        If there is no model, one is damaged or not signed by a trusted key, or two are for the same technique, outcome
        and month.
    """
    keys = None if trusted_keys is None else read_trusted_keys(trusted_keys)
    if is_address(source):
        return _key_predictors([load_model(source, trusted_keys=keys)])
    folder = Path(source)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(
            f"no models: {folder} {what}; give the folder written by 'paincast train'", code="PC-SERVING-16"
        )
    bundles = list_bundles(folder)
    if not bundles:
        raise DataError(
            f"no models: {folder} has no {MANIFEST}; train models with 'paincast train'", code="PC-SERVING-17"
        )
    return _key_predictors([load_predictor(bundle, trusted_keys=keys) for bundle in bundles])


def _key_predictors(predictors: Iterable[Predictor]) -> dict[str, Predictor]:
    keyed: dict[str, Predictor] = {}
    for predictor in sorted(predictors, key=_rank):
        key = predictor.name
        if key in keyed:
            raise DataError(
                f"two models answer {key} (versions {keyed[key].version} and {predictor.version}); keep one",
                code="PC-SERVING-18",
            )
        keyed[key] = predictor
    return keyed


def _rank(predictor: Predictor) -> tuple[int, str, bool, float]:
    technique = predictor.contract.techniques.index(predictor.technique)
    return technique, predictor.outcome, not predictor.is_primary, predictor.horizon_months


def predict(
    patients: object,
    models: Models | None = None,
    *,
    techniques: Sequence[str] | None = None,
    months: Sequence[float] | None = None,
    allow_contradicted: bool = False,
    trusted_keys: Trusted = None,
) -> pd.DataFrame:
    """Predict what each patient should expect from each technique, or abstain with a reason.

    Parameters
    ----------
    patients : DataFrame of shape (n, ...), Arrow table, list of dict, dict, str or Path
        Columns of the ``episodes`` table, in any type that can be converted to the declared one: a pandas or polars
        table, an Arrow table, a list of dicts, one dict, or a file. ``technique`` is optional: the
        technique named is added to those that have a model.
    models : str, Path, Predictor or mapping, optional
        Folder of models, MLflow address, one model, or models keyed by any name; by default ``models/``.
    techniques : sequence of str, optional
        Techniques to predict for; by default those with a model and, for each patient, the one named.
    months : sequence of float, optional
        Months after the procedure to predict for; a month without a model gets an abstention. By default, the primary
        month of each model.
    allow_contradicted : bool
        Whether a model answers where an external validation on patients of the same indication and approach
        contradicts it; every such answer says so in ``cautions``. By default it abstains.
    trusted_keys : str, Path or TrustedKeys, optional
        PEM file of public keys (Ed25519), one of which must have signed each model of a folder or an address.

    Returns
    -------
    DataFrame of shape (n × techniques × outcomes × months, len(PREDICTION_COLUMNS))
        Patients in the given order, techniques in the canonical order, months in ascending order: rows are never
        ranked by probability. A probability is a prognosis *given* the technique, not its effect. The index is that of
        the patients, repeated for each technique, outcome and month; patients from a file, a list or polars are
        numbered from 0. If several patients have the same label, use ``episode_id`` to distinguish them.

    Raises
    ------
    DataError
        If the patients or models cannot be read, or no trusted key signed a model.
    SettingsError
        If a month is not a number above 0, the trusted keys cannot be read, or models are given that are loaded
        already and cannot be held against them.
    RefusalError
        If there is no evidence for a requested technique.

    Warns
    -----
    UserWarning
        If values were unusable and were left out; :func:`paincast.validate_patients` lists them. If the way in which a
        file was read needs to be known (its encoding, the sheet of a workbook). If a folder mixes
        models of different evidence, or has models that are older than its last training.
    """
    months = check_months(months)
    gathered = select_models(gather_models(models, trusted_keys=trusted_keys), months)
    contract = common_contract(gathered.values())
    check_techniques(techniques or (), contract)
    if not isinstance(models, Predictor | Mapping):
        for note in list_notes(DEFAULT_MODELS if models is None else models, gathered, techniques).values():
            warnings.warn(note, UserWarning, stacklevel=2)
    read = read_patients(patients, contract=contract)
    answer = partial(
        predict_episodes, gathered, techniques=techniques, months=months, allow_contradicted=allow_contradicted
    )
    predictions, rejects = answer_patients(read, answer, contract=contract)
    for remark in read.remarks:
        warnings.warn(remark, UserWarning, stacklevel=2)
    warn_of_rejects(rejects)
    return restore_index(predictions, read)


def gather_models(models: Models | None, *, trusted_keys: Trusted = None) -> dict[str, Predictor]:
    """Return models by name, from any form in which they can be given."""
    if trusted_keys is not None and isinstance(models, Predictor | Mapping):
        raise SettingsError(
            "trusted keys are asked for where a model is loaded; give them to load_model or load_models",
            code="PC-SERVING-60",
        )
    if isinstance(models, Predictor):
        return _key_predictors([models])
    if isinstance(models, Mapping):
        return _key_predictors(models.values())
    return load_models(DEFAULT_MODELS if models is None else models, trusted_keys=trusted_keys)


def predict_episodes(
    models: Mapping[str, Predictor],
    episodes: pd.DataFrame,
    unreadable: pd.Series | None = None,
    *,
    techniques: Sequence[str] | None = None,
    months: Sequence[float] | None = None,
    allow_contradicted: bool = False,
) -> pd.DataFrame:
    """Predict for validated patients; see :func:`predict`.

    Parameters
    ----------
    models : mapping of Predictor
        Models by name.
    episodes : DataFrame of shape (n, ...)
        Every column of the ``episodes`` table in its declared type, indexed in ascending order.
    unreadable : Series of tuple of str, shape (n,), optional
        Columns of each patient whose value was given but could not be used.
    techniques : sequence of str, optional
        Techniques to predict for, as checked by :func:`paincast.eligibility.check_techniques`.
    months : sequence of float, optional
        Months to predict for, from :func:`paincast.serving.months.check_months`.
    allow_contradicted : bool
        As for :func:`predict`.

    Returns
    -------
    DataFrame of shape (n × techniques × outcomes × months, len(PREDICTION_COLUMNS))
        Indexed like the episodes.
    """
    requested = set(techniques) if techniques is not None else {model.technique for model in models.values()}
    contract = common_contract(models.values())
    outcomes = sort_outcomes((model.outcome for model in models.values()), contract.outcomes)
    blocks = []
    for technique in (*contract.techniques, *COMPARATORS):
        is_named = (episodes["technique"] == technique) & (techniques is None)
        chosen = episodes[is_named | (technique in requested)]
        if len(chosen):
            invalid_columns = None if unreadable is None else unreadable[chosen.index]
            answers = [
                _answer(chosen, invalid_columns, Asked(technique, outcome, month), models, contract, allow_contradicted)
                for outcome in outcomes
                for month in months or (None,)
            ]
            in_line = iter(bring_in_line([one for one in answers if isinstance(one, Answers)], chosen["pain_nrs"]))
            blocks += [next(in_line).write() if isinstance(one, Answers) else one for one in answers]
    if not blocks:
        return make_abstentions(episodes.iloc[:0], "", "", "")
    return pd.concat(blocks).sort_index(kind="stable")[list(PREDICTION_COLUMNS)]


def _answer(
    episodes: pd.DataFrame,
    unreadable: pd.Series | None,
    asked: Asked,
    models: Mapping[str, Predictor],
    contract: Contract,
    allow_contradicted: bool,
) -> Answers | pd.DataFrame:
    """Answer by the model that is asked; without one, rows of abstentions."""
    model = choose_model(models, asked)
    if model is not None:
        return model.answer_episodes(episodes, unreadable, allow_contradicted=allow_contradicted)
    patients = set_technique(episodes, asked.technique, contract)
    because = explain_no_model(models, asked, patients, contract)
    rows = make_abstentions(patients, asked.technique, asked.outcome, because)
    if asked.month is not None:
        rows = rows.assign(horizon_months=asked.month)
    if asked.technique in COMPARATORS:
        return rows
    return rows.assign(**assess_technique(asked.technique, patients, contract))
