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
from paincast.eligibility import assess_technique, check_readable, set_technique, text_where
from paincast.errors import DataError
from paincast.models_folder import list_notes
from paincast.predictor import MANIFEST, PREDICTION_COLUMNS, Answers, Predictor, load_predictor, make_abstentions
from paincast.predictor.answers import MOST_REASONS
from paincast.predictor.ids import restore_ids
from paincast.predictor.route import answer_patients, restore_index, warn_of_rejects
from paincast.schema import COMPARATORS
from paincast.serving.addresses import fetch_predictor, is_address
from paincast.serving.asked import (
    EVERYTHING,
    NO_INDICATION,
    Asking,
    Coded,
    check_asking,
    explain_nobody,
    list_treated,
    select_patients,
)
from paincast.serving.coherence import bring_in_line, list_linked
from paincast.serving.layout import list_blocks, widen
from paincast.serving.months import Asked, check_months, choose_model, common_contract, explain_no_model, select_models
from paincast.serving.validation.validations import list_bundles

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
        Its predictions are marked ``research use only``, unless the address is that of a champion trained on real
        patients and promoted by a gate that allows use in care.

    Raises
    ------
    DataError
        If there is no model, it is damaged or changed, or the registered bundle is not the one that was logged.
    """
    if is_address(source):
        with tempfile.TemporaryDirectory(prefix="paincast-") as scratch:
            return fetch_predictor(str(source), Path(scratch))
    return load_predictor(source)


def load_models(source: str | Path) -> dict[str, Predictor]:
    """Load all models in a folder.

    Parameters
    ----------
    source : str or Path
        A folder with bundles at any depth (``models/`` after a training), one bundle, or an MLflow address.

    Returns
    -------
    dict of Predictor
        Keyed ``technique/outcome``, which the month of a further one follows (``technique/outcome.month-12``), in the
        canonical order of techniques, then by outcome and month.

    Raises
    ------
    DataError
        If there is no model, one is damaged, or two are for the same technique, outcome and month.
    """
    if is_address(source):
        return _key_predictors([load_model(source)])
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
    return _key_predictors([load_predictor(bundle) for bundle in bundles])


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
    techniques: Sequence[str] | str | None = None,
    outcomes: Sequence[str] | str | None = None,
    months: Sequence[float] | None = None,
    interval: bool = True,
    explain: int = MOST_REASONS,
    wide: bool = False,
    allow_contradicted: bool = False,
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
        If the patients or models cannot be read.
    SettingsError
        If a technique or outcome is unknown, a month is not a number above 0, or ``explain`` not a whole number.
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
    gathered = select_models(gather_models(models), months)
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
    predictions, rejects = answer_patients(read, partial(predict_episodes, gathered, asking=asking), contract=contract)
    for remark in read.remarks:
        warnings.warn(remark, UserWarning, stacklevel=2)
    warn_of_rejects(rejects)
    predictions = restore_ids(predictions, read, contract)
    if wide:
        predictions = widen(predictions, list_blocks(gathered, asking))
    return restore_index(predictions, read)


def gather_models(models: Models | None) -> dict[str, Predictor]:
    """Return models by name, from any form in which they can be given."""
    if isinstance(models, Predictor):
        return _key_predictors([models])
    if isinstance(models, Mapping):
        return _key_predictors(models.values())
    return load_models(DEFAULT_MODELS if models is None else models)


def predict_episodes(
    models: Mapping[str, Predictor],
    episodes: pd.DataFrame,
    unreadable: pd.Series | None = None,
    *,
    asking: Asking = EVERYTHING,
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
    asking : Asking
        What is asked, from :func:`paincast.serving.asked.check_asking`.

    Returns
    -------
    DataFrame of shape (n × techniques × outcomes × months, len(PREDICTION_COLUMNS))
        Indexed like the episodes.
    """
    contract = common_contract(models.values())
    treated = list_treated(models.values())
    asked = select_patients(
        _encode(episodes["indication"]),
        _encode(episodes["technique"]),
        treated,
        order=(*contract.techniques, *COMPARATORS),
        techniques=asking.techniques,
    )
    blocks = []
    for technique, rows in asked.rows.items():
        chosen = episodes.iloc[rows]
        invalid_columns = None if unreadable is None else unreadable[chosen.index]
        blocks += _answer_technique(technique, chosen, invalid_columns, models, contract, asking)
    if len(asked.nobody):
        left = episodes.iloc[asked.nobody]
        blocks.append(_abstain(left, None if unreadable is None else unreadable[left.index], treated))
    if not blocks:
        return make_abstentions(episodes.iloc[:0], "", "", "")
    return pd.concat(blocks).sort_index(kind="stable")[list(PREDICTION_COLUMNS)]


def _encode(column: pd.Series) -> Coded:
    codes, names = pd.factorize(column)
    return Coded(codes, tuple(map(str, names)))


def _abstain(episodes: pd.DataFrame, unreadable: pd.Series | None, techniques: Iterable[str]) -> pd.DataFrame:
    """Make the only row of patients of whom no technique is asked."""
    reason = text_where(episodes["indication"].isna(), NO_INDICATION)
    unread = check_readable(episodes.index, unreadable, used=(), required={"indication"})
    because = reason.where(reason != "", explain_nobody(techniques)).where(unread == "", unread)
    return make_abstentions(episodes, "", "", because)


def _answer_technique(
    technique: str,
    episodes: pd.DataFrame,
    unreadable: pd.Series | None,
    models: Mapping[str, Predictor],
    contract: Contract,
    asking: Asking,
) -> list[pd.DataFrame]:
    """Answer for a technique; outcomes that are linked to those asked are computed, and not returned."""
    outcomes = asking.list_outcomes(technique, models.values(), contract)
    asked = [Asked(technique, outcome, month) for outcome in outcomes for month in asking.months or (None,)]
    linked = [one._replace(outcome=other) for other in list_linked(outcomes) for one in asked]
    beside = [one for one in dict.fromkeys(linked) if choose_model(models, one) is not None]
    answers = [_answer(episodes, unreadable, one, models, contract, asking) for one in (*asked, *beside)]
    in_line = iter(bring_in_line([one for one in answers if isinstance(one, Answers)], episodes["pain_nrs"]))
    placed = [next(in_line) if isinstance(one, Answers) else one for one in answers]
    return [one.write() if isinstance(one, Answers) else one for one in placed[: len(asked)]]


def _answer(
    episodes: pd.DataFrame,
    unreadable: pd.Series | None,
    asked: Asked,
    models: Mapping[str, Predictor],
    contract: Contract,
    asking: Asking,
) -> Answers | pd.DataFrame:
    """Answer by the model that is asked; without one, rows of abstentions."""
    model = choose_model(models, asked)
    if model is not None:
        return model.answer_episodes(
            episodes,
            unreadable,
            allow_contradicted=asking.allow_contradicted,
            interval=asking.interval,
            explain=asking.explain,
        )
    patients = set_technique(episodes, asked.technique, contract)
    because = explain_no_model(models, asked, patients, contract)
    rows = make_abstentions(patients, asked.technique, asked.outcome, because)
    if asked.month is not None:
        rows = rows.assign(horizon_months=asked.month)
    if asked.technique in COMPARATORS:
        return rows
    return rows.assign(**assess_technique(asked.technique, patients, contract))
