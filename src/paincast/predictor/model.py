"""The predictor: a response model with everything it needs to predict for a patient, or to abstain."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from paincast.cohort.reading.patients import read_patients
from paincast.cohort.validate import validate_patients
from paincast.contract import BUILT_IN, Contract, describe_own_technique
from paincast.deferred import pandas as pd
from paincast.eligibility import (
    set_technique,
)
from paincast.evidence.rules import TechniqueRules
from paincast.explain import MOST_MISSING, explain_model, find_certain, list_missing
from paincast.models.serialization import Response
from paincast.outcomes import Outcome, get_outcome, name_model
from paincast.predictor.answering.frames import to_frame
from paincast.predictor.answering.ready import ReadyPatients, from_episodes
from paincast.predictor.answering.scorer import EVERYTHING, Detail, Scorer, make_scorer
from paincast.predictor.answers import MOST_REASONS, Answers, check_most_reasons
from paincast.predictor.card import format_card, format_line
from paincast.predictor.ids import restore_ids
from paincast.predictor.route import Answered, answer_patients, explain_left_out, restore_index, warn_of_rejects
from paincast.predictor.rows import ANSWERS, UNCERTAINTY_COLUMNS, make_abstentions
from paincast.predictor.validation import Validation
from paincast.schema import RESEARCH_MARK

if TYPE_CHECKING:
    import shap


@dataclass(frozen=True, kw_only=True, repr=False)
class Predictor:
    """A response model with everything it needs to predict for a patient.

    Parameters
    ----------
    technique, outcome : str
        The procedure, and the predicted outcome.
    horizon_months : float
        The month at which the outcome is predicted.
    window_months : tuple of float
        First and last month, inclusive, of the visits used for the horizon.
    measures : tuple of str
        Columns, at least one of which must be known before the procedure; empty if the outcome needs none.
    basis : {"synthetic", "real", "blended"}
        The kind of data that the model is based on.
    n_training, n_real : int
        Number of episodes with a known outcome at the horizon, and how many of them are real.
    n_events : int or None
        Number of those with the outcome; None for a continuous outcome.
    level : float
        Level of the interval of the individual's probability or change.
    response : Response
        The model.
    rules : TechniqueRules
        Indications, comparators and contraindications.
    sources : tuple of str
        Sources of the training cohort.
    performance : tuple of dict
        Out-of-fold metrics: ``metric, group, estimate, lower, upper, n, method``.
    version : str
        First twelve digits of the content hash; empty until :func:`paincast.predictor.bundle.add_version` sets it.
    use : str
        Use mark from the registry, not part of the bundle: empty only for a champion whose gate allows use in care,
        see :func:`paincast.serving.predict.load_model`.
    validations : tuple of Validation
        External validations, the worst first; recorded beside the bundle, not part of it.
    is_primary : bool
        Whether it answers where no month is requested; false for a model of a further month.
    contract : Contract
        Declares columns, techniques and outcomes; a bundle keeps it.
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
    validations: tuple[Validation, ...] = ()
    is_primary: bool = True
    contract: Contract = BUILT_IN

    @cached_property
    def question(self) -> Outcome:
        """The outcome as this model predicts it: by the instruments that answered it in training."""
        return get_outcome(self.outcome, outcomes=self.contract.outcomes).answered_by(self.measures)

    @property
    def further_month(self) -> float | None:
        """Month of a model that is not that of the primary month; None for a primary model."""
        return None if self.is_primary else self.horizon_months

    @property
    def name(self) -> str:
        """Name of the model: ``technique/outcome``, and the month if it is a further one."""
        return name_model(self.technique, self.outcome, self.further_month)

    @property
    def mark(self) -> str:
        """Use mark of every prediction; always research use if the model is based on simulated patients only."""
        return RESEARCH_MARK if self.basis == "synthetic" else self.use

    def __repr__(self) -> str:
        return format_line(self.describe())

    def _repr_html_(self) -> str:
        return format_card(self.describe())

    def describe(self) -> dict[str, str]:
        """Describe the model in words: technique, outcome, horizon, basis, episodes, version and use."""
        real = f" ({self.n_real} real)" if self.n_real else ""
        return {
            "technique": self.technique,
            "outcome": self.outcome,
            "horizon": f"{self.horizon_months:g} months",
            "basis": self.basis,
            "n": f"{self.n_training} episodes{real}",
            "version": self.version or "none",
            **self._describe_contract(),
            "use": self.mark or "care",
            "validated on": "; ".join(f"{item.describe()}: {item.verdict}" for item in self.validations) or "not yet",
        }

    def _describe_contract(self) -> dict[str, str]:
        if not self.contract.declared:
            return {}
        own = self.contract.own_techniques.get(self.technique)
        told = {"contract": f"{self.contract.name} ({self.contract.digest})"}
        return told if own is None else {**told, "evidence": describe_own_technique(own)}

    def predict(
        self,
        patients: object,
        *,
        unreadable: pd.Series | None = None,
        allow_contradicted: bool = False,
        interval: bool = True,
        explain: int = MOST_REASONS,
    ) -> pd.DataFrame:
        """Predict the outcome for each patient, or abstain with a reason.

        Parameters
        ----------
        patients : DataFrame of shape (n, ...), Arrow table, list of dict, dict, str or Path
            Columns of the ``episodes`` table, in any type that can be converted to the declared one: a pandas or
            polars table, an Arrow table, a list of dicts, one dict, or a file.
        unreadable : Series of tuple of str, shape (n,), optional
            For patients that are already validated (:func:`paincast.cohort.validate.validate_patients`), the columns
            of each whose value could not be used.
        allow_contradicted : bool
            Whether to answer where an external validation contradicts the model; every such answer says so.
        interval : bool
            Whether to compute the limits and the shares of the uncertainty; if not, their columns are empty.
        explain : int
            Most reasons for, and against. With 0, neither reasons nor missing values are computed.

        Returns
        -------
        DataFrame of shape (n, len(PREDICTION_COLUMNS))
            One row per patient, with the same index. ``probability`` is the share of such patients expected to have
            the outcome *given* the technique, and ``expected`` their median: a prognosis, not the effect of the
            technique.

        Raises
        ------
        DataError
            If the input is not a table of patients.
        SettingsError
            If ``explain`` is not a whole number of reasons.

        Warns
        -----
        UserWarning
            If values were unusable and were left out.
        """
        detail = Detail(interval=interval, explain=check_most_reasons(explain))
        if unreadable is not None and isinstance(patients, pd.DataFrame):
            return self.predict_episodes(patients, unreadable, allow_contradicted=allow_contradicted, detail=detail)
        read = read_patients(patients, contract=self.contract)
        answer = partial(self.answer_each, allow_contradicted=allow_contradicted, detail=detail)
        [predictions], rejects, _ = answer_patients(read, answer, contract=self.contract)
        warn_of_rejects(rejects)
        filled = self.fill_left_out(predictions.to_frame(), rejects)
        return restore_index(restore_ids(filled, read, self.contract), read)

    def fill_left_out(self, predictions: pd.DataFrame, rejects: pd.DataFrame | None) -> pd.DataFrame:
        """Add an abstention for every patient whose whole row was left out, at the row's position.

        Parameters
        ----------
        predictions, rejects : DataFrame
            From :func:`paincast.predictor.route.answer_patients`.

        Returns
        -------
        DataFrame
            Indexed by row number.
        """
        because = explain_left_out(rejects)
        if because.empty:
            return predictions
        nameless = pd.DataFrame({"episode_id": "", "patient_id": ""}, index=because.index)
        return pd.concat([predictions, make_abstentions(nameless, self.technique, self.outcome, because)]).sort_index()

    def predict_episodes(
        self,
        patients: pd.DataFrame,
        unreadable: pd.Series | None = None,
        *,
        allow_contradicted: bool = False,
        detail: Detail = EVERYTHING,
    ) -> pd.DataFrame:
        """Predict for patients in the types of the contract; see :meth:`predict`.

        Returns
        -------
        DataFrame of shape (n, len(PREDICTION_COLUMNS))
            Indexed like ``patients``.
        """
        ready = from_episodes(patients, unreadable, self.contract)
        table = self.answer_table(ready, allow_contradicted=allow_contradicted, detail=detail)
        return to_frame(table).set_axis(patients.index, axis="index")

    def answer_each(
        self, ready: ReadyPatients, *, allow_contradicted: bool = False, detail: Detail = EVERYTHING
    ) -> Answered:
        """Answer each of some checked patients."""
        table = self.answer_table(ready, allow_contradicted=allow_contradicted, detail=detail)
        return Answered(table, np.arange(len(ready)))

    def answer_table(self, ready: ReadyPatients, *, allow_contradicted: bool, detail: Detail) -> pa.Table:
        """Answer checked patients.

        Parameters
        ----------
        ready : ReadyPatients
            Patients, n of them.
        allow_contradicted : bool
            As for :meth:`predict`.
        detail : Detail
            How much is computed.

        Returns
        -------
        pyarrow.Table of shape (n, len(PREDICTION_COLUMNS))
            Texts may be dictionaries.
        """
        if allow_contradicted not in self._scorers:
            self._scorers[allow_contradicted] = make_scorer(self, allow_contradicted=allow_contradicted)
        return self._scorers[allow_contradicted].answer(ready, detail)

    @cached_property
    def _scorers(self) -> dict[bool, Scorer]:
        return {}

    def answer_episodes(
        self,
        patients: pd.DataFrame,
        unreadable: pd.Series | None = None,
        *,
        allow_contradicted: bool = False,
        detail: Detail = EVERYTHING,
    ) -> Answers:
        """Answer for patients in the types of the contract, before answers of other models are looked at.

        Parameters
        ----------
        patients : DataFrame of shape (n, ...)
            Every column of the ``episodes`` table in its declared type.
        unreadable : Series of tuple of str, shape (n,), optional
            Columns of each patient whose value was given but could not be used. The model abstains if it needs one of
            them: an unreadable value is not treated as missing.
        allow_contradicted : bool
            As for :meth:`predict`.
        detail : Detail
            How much is computed.

        Returns
        -------
        Answers
            Indexed like ``patients``.
        """
        ready = from_episodes(patients, unreadable, self.contract)
        told = Detail(interval=False, explain=0)
        table = self.answer_table(ready, allow_contradicted=allow_contradicted, detail=told)
        rows = to_frame(table).set_axis(patients.index, axis="index")
        episodes = set_technique(patients, self.technique, self.contract)
        answered = ~rows["abstained"].to_numpy(bool)
        answer = self.response.answer(episodes, self.level, interval=detail.interval).reindex(
            columns=[*ANSWERS, *UNCERTAINTY_COLUMNS]
        )
        answer.loc[~answered] = np.nan
        answers = Answers(
            outcome=self.outcome,
            month=self.horizon_months,
            measures=self.measures,
            rows=rows,
            numbers=answer,
            most_reasons=detail.explain,
        )
        return self._explain(answers, episodes[answered]) if detail.explain and answered.any() else answers

    def _explain(self, answers: Answers, episodes: pd.DataFrame) -> Answers:
        """Add what explains the answers of the patients who get one."""
        explanation = explain_model(self.response, episodes)
        scale = self.response.missing_scale(episodes)
        return replace(
            answers,
            explanation=explanation,
            certain=find_certain(self.response, episodes, explanation),
            missing=list_missing(
                explanation,
                self.response.missing_variances,
                self.level,
                scale=scale,
                most=max(MOST_MISSING, answers.most_reasons),
            ),
        )

    def explain(self, patients: object) -> shap.Explanation:
        """Explain predictions in the format of the shap package, whose plots can use the result directly.

        Parameters
        ----------
        patients : DataFrame of shape (n, ...), Arrow table, list of dict, dict, str or Path
            As for :meth:`predict`.

        Returns
        -------
        shap.Explanation
            ``values`` of shape (n, n_variables) add up, with ``base_values`` of shape (n,), to the log odds of the
            predicted probability (so the axis of a plot is in log odds, not in probability), or to the expected change
            in points. ``data`` contains the variables as numbers (yes is 1 and no is 0; categories are numbered from 0
            in alphabetical order), ``display_data`` as given. A patient whose whole row was left out is not explained.

        Warns
        -----
        UserWarning
            If values were unusable and were left out.

        References
        ----------
        Lundberg SM, Lee SI. NeurIPS 2017. doi:10.48550/arXiv.1705.07874
        """
        episodes, rejects = validate_patients(patients, contract=self.contract)
        warn_of_rejects(rejects)
        return explain_model(self.response, set_technique(episodes, self.technique, self.contract)).to_shap()
