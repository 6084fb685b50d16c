"""Load models and predict: one prediction or abstention for each patient, technique, outcome and month."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from paincast.cohort.reading.patients import read_patients
from paincast.deferred import pandas as pd
from paincast.errors import DataError, SettingsError
from paincast.models_folder import list_notes
from paincast.predictor import MANIFEST, Predictor, load_predictor
from paincast.predictor.answers import MOST_REASONS
from paincast.predictor.bundle import TrustedKeys, read_trusted_keys
from paincast.predictor.ids import restore_ids
from paincast.predictor.route import answer_patients, restore_index, warn_of_rejects
from paincast.serving.addresses import fetch_predictor, is_address
from paincast.serving.answering import make_answer
from paincast.serving.asked import check_asking
from paincast.serving.layout import list_blocks, widen
from paincast.serving.months import check_months, common_contract, select_models
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
        return key_predictors([load_model(source, trusted_keys=keys)])
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
    return key_predictors([load_predictor(bundle, trusted_keys=keys) for bundle in bundles])


def key_predictors(predictors: Iterable[Predictor]) -> dict[str, Predictor]:
    """Key models by name, in the canonical order; two that answer the same are an error."""
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
    techniques: Sequence[str] | str | None = None,
    outcomes: Sequence[str] | str | None = None,
    months: Sequence[float] | None = None,
    interval: bool = True,
    explain: int = MOST_REASONS,
    wide: bool = False,
    allow_contradicted: bool = False,
    trusted_keys: Trusted = None,
) -> pd.DataFrame:
    """Predict what each patient should expect from each technique, or abstain with a reason.

    A technique is asked of the patients whose indication it treats. Every patient gets at least one row: where no
    technique applies, one abstention, with an empty technique and outcome, that says why.

    Parameters
    ----------
    patients : DataFrame of shape (n, ...), Arrow table, list of dict, dict, str or Path
        Columns of the ``episodes`` table, in any type that can be converted to the declared one: a pandas or polars
        table, an Arrow table, a list of dicts, one dict, or a file. ``technique`` is optional: the
        technique named is asked of its patient, with or without a model, whatever the indication.
    models : str, Path, Predictor or mapping, optional
        Folder of models, MLflow address, one model, or models keyed by any name; by default ``models/``.
    techniques : sequence of str or "all", optional
        Techniques to ask of every patient, and no others. By default, those that have a model are asked of the patients
        whose indication they treat, and with ``"all"`` of every patient; for each patient also the one named.
    outcomes : sequence of str, optional
        Outcomes to predict; by default those for which the technique has a model (with ``techniques``, those for which
        any technique has one). An answer is the same whichever others are asked for.
    months : sequence of float, optional
        Months after the procedure to predict for; a month without a model gets an abstention. By default, the primary
        month of each model.
    interval : bool
        Whether to compute limits and the shares of the uncertainty; if not, their columns are empty.
    explain : int
        Most reasons for, and against. With 0, neither reasons nor missing values are computed.
    wide : bool
        Whether to return one row for each patient instead, without reasons, see
        :func:`paincast.serving.layout.widen`.
    allow_contradicted : bool
        Whether a model answers where an external validation on patients of the same indication and approach
        contradicts it; every such answer says so in ``cautions``. By default it abstains.
    trusted_keys : str, Path or TrustedKeys, optional
        PEM file of public keys (Ed25519), one of which must have signed each model of a folder or an address.

    Returns
    -------
    DataFrame of shape (n × techniques × outcomes × months, len(PREDICTION_COLUMNS))
        Patients in the given order, techniques in the canonical order, months in ascending order: rows are never
        ranked by probability. A probability is a prognosis *given* the technique, not its effect. Ids are as given:
        integers stay integers if none is missing. The index is that of
        the patients, repeated for each technique, outcome and month; patients from a file, a list or polars are
        numbered from 0. If several patients have the same label, use ``episode_id`` to distinguish them.

    Raises
    ------
    DataError
        If the patients or models cannot be read, or no trusted key signed a model.
    SettingsError
        If a technique or outcome is unknown, a month is not a number above 0, ``explain`` is not a whole number, the
        trusted keys cannot be read, or models are given that are loaded already and cannot be held against them.
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
    asking = check_asking(
        contract,
        techniques=techniques,
        outcomes=outcomes,
        months=months,
        interval=interval,
        explain=explain,
        wide=wide,
        allow_contradicted=allow_contradicted,
    )
    if not isinstance(models, Predictor | Mapping):
        source = DEFAULT_MODELS if models is None else models
        for note in list_notes(source, asking.keep_models(gathered), asking.named_techniques).values():
            warnings.warn(note, UserWarning, stacklevel=2)
    read = read_patients(patients, contract=contract)
    [answered], rejects, _ = answer_patients(read, make_answer(gathered, asking), contract=contract)
    for remark in read.remarks:
        warnings.warn(remark, UserWarning, stacklevel=2)
    warn_of_rejects(rejects)
    predictions = restore_ids(answered.to_frame(), read, contract)
    if wide:
        predictions = widen(predictions, list_blocks(gathered, asking))
    return restore_index(predictions, read)


def gather_models(models: Models | None, *, trusted_keys: Trusted = None) -> dict[str, Predictor]:
    """Return models by name, from any form in which they can be given."""
    if trusted_keys is not None and isinstance(models, Predictor | Mapping):
        raise SettingsError(
            "trusted keys are asked for where a model is loaded; give them to load_model or load_models",
            code="PC-SERVING-64",
        )
    if isinstance(models, Predictor):
        return key_predictors([models])
    if isinstance(models, Mapping):
        return key_predictors(models.values())
    return load_models(DEFAULT_MODELS if models is None else models, trusted_keys=trusted_keys)
