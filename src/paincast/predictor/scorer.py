"""Answer patients by the scoring core: numbers for every row, words once for each pattern of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.special import expit, ndtri

from paincast.cohort.tables import conform
from paincast.evidence.rules import TechniqueRules, renew_rules
from paincast.explain import LEAST_REACH, MOST_MISSING, format_value
from paincast.models.domain import explain_distance, find_limit
from paincast.outcomes.criteria import is_reachable
from paincast.predictor.judgement import judge_patients
from paincast.predictor.model import Predictor
from paincast.predictor.plan import plan_linear
from paincast.predictor.rows import ANSWERS, LISTS, PREDICTION_COLUMNS, UNCERTAINTY_COLUMNS
from paincast.scoring.conditions import assess
from paincast.scoring.layout import LinearPlan
from paincast.scoring.linear import LinearScore, score_linear
from paincast.scoring.patients import Patients
from paincast.scoring.patterns import Patterns
from paincast.scoring.reasons import list_missing, list_reasons

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

APART = ("episode_id", "patient_id", *ANSWERS, *UNCERTAINTY_COLUMNS, *LISTS)
"""Columns of predictions that differ between patients of one pattern."""


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """Columns whose value was given but could not be used: a set of names for each patient.

    Parameters
    ----------
    sets : sequence of tuple of str
        Distinct sets; the first is empty.
    codes : ndarray of int, shape (n,)
        Which set each patient has.
    """

    sets: Sequence[tuple[str, ...]]
    codes: IntArray


@dataclass
class Scorer:
    """A model with a linear plan, and the words it has made so far.

    Parameters
    ----------
    model : Predictor
        The model.
    plan : LinearPlan
        The model as the core scores it.
    allow_contradicted : bool
        Whether to answer where an external validation contradicts the model.
    """

    model: Predictor
    plan: LinearPlan
    allow_contradicted: bool = False
    _patterns: Patterns = field(default_factory=Patterns)
    _judged: pd.DataFrame = field(default_factory=pd.DataFrame)
    _unreadable: dict[tuple[str, ...], int] = field(default_factory=dict)

    def answer(self, patients: Patients, unreadable: Unreadable, *, most: int = 3) -> pa.Table:
        """Answer patients.

        Parameters
        ----------
        patients : Patients
            Patients in the types of the contract, without choices made for another technique.
        unreadable : Unreadable
            What could not be used.
        most : int
            Most reasons in either direction.

        Returns
        -------
        pyarrow.Table of shape (n, len(PREDICTION_COLUMNS))
            Texts are dictionaries.
        """
        score = score_linear(self.plan, patients, most=most)
        numbers = self._find_patterns(patients, unreadable, score)
        answered = ~self._judged["abstained"].to_numpy(bool)[numbers]
        columns = {name: _take(self._judged[name], numbers) for name in PREDICTION_COLUMNS if name not in APART}
        columns |= {name: patients.table[name] for name in ("episode_id", "patient_id")}
        told = self._describe(score)
        for name in (*ANSWERS, *UNCERTAINTY_COLUMNS):
            values = told.get(name)
            columns[name] = (
                pa.nulls(len(patients), pa.float64())
                if values is None
                else pa.array(values, mask=~answered | np.isnan(values))
            )
        columns |= self._list(patients, score, answered)
        return pa.table({name: columns[name] for name in PREDICTION_COLUMNS})

    def _describe(self, score: LinearScore) -> dict[str, FloatArray]:
        """Describe log odds: probability, limits, and the shares of each part of the variance."""
        components = self.model.response.uncertainty_components
        parts = {
            "evidence": components.evidence_share * score.refitting,
            "model": (1.0 - components.evidence_share) * score.refitting + components.unexplained,
            "site": np.full(len(score.refitting), components.between_sites),
            "missing": score.missing,
        }
        total = parts["evidence"] + parts["model"] + parts["site"] + parts["missing"]
        reach = ndtri(0.5 + self.model.level / 2) * np.sqrt(total)
        whole = np.where(total > 0, total, np.nan)
        return {
            "probability": expit(score.log_odds),
            "lower": expit(score.log_odds - reach),
            "upper": expit(score.log_odds + reach),
            **{f"uncertainty_{name}": part / whole for name, part in parts.items()},
        }

    def _list(self, patients: Patients, score: LinearScore, answered: BoolArray) -> dict[str, pa.Array]:
        unit, columns = self.model.response.unit, self.model.contract.episodes
        listed = {}
        for name, terms, sizes in (
            ("reasons_for", score.upward, score.upward_sizes),
            ("reasons_against", score.downward, score.downward_sizes),
        ):
            told = np.where(answered[:, None], terms, np.int16(-1))
            listed[name] = list_reasons(
                self.plan,
                patients,
                told,
                sizes,
                unit=unit,
                format_number=lambda column, value: format_value(columns[column], value),
            )
        variances = {term.name: term.missing_variance for term in self.plan.terms if term.missing_variance}
        reach = ndtri(0.5 + self.model.level / 2.0) * np.sqrt(np.array(list(variances.values()), dtype=float))
        widest = [place for place in np.argsort(-reach, kind="stable") if reach[place] >= LEAST_REACH]
        names = [list(variances)[place] for place in widest]
        listed["missing_values"] = list_missing(names, reach[widest], patients, answered, unit=unit, most=MOST_MISSING)
        return listed

    def _find_patterns(self, patients: Patients, unreadable: Unreadable, score: LinearScore) -> IntArray:
        """Find the number of the pattern of each row, and judge those that are new."""
        together = score.squared_distance > find_limit(len(self.model.response.domain.names))
        codes = self._code_words(patients, unreadable, score, together)
        found = self._patterns.find(codes, len(patients))
        if len(found.new_rows):
            rows = found.new_rows
            sets = [unreadable.sets[code] for code in unreadable.codes[rows]]
            judged = self._judge(patients.take(rows), sets, score.far[rows], together[rows])
            self._judged = pd.concat([self._judged, judged], ignore_index=True)
        return found.numbers

    def _code_words(
        self, patients: Patients, unreadable: Unreadable, score: LinearScore, together: BoolArray
    ) -> list[npt.NDArray[np.integer]]:
        """Code everything on which the words depend."""
        contract, encoder = self.model.contract, self.model.response.encoder
        codes: list[npt.NDArray[np.integer]] = [
            patients.codes("indication", contract.indications),
            patients.codes("approach", contract.episodes["approach"].categories),
            np.array([self._unreadable.setdefault(names, len(self._unreadable)) for names in unreadable.sets])[
                unreadable.codes
            ],
            together.astype(np.int64),
        ]
        for place in range(len(self.model.response.domain.names)):
            codes.append(((score.far >> np.uint64(place)) & np.uint64(1)).astype(np.int64))
        for variable in encoder.variables_:
            if variable.levels:
                codes.append((patients.codes(variable.name, variable.levels) > len(variable.levels)).astype(np.int64))
        for line in self.model.question.lines:
            if line.needs_before:
                before = patients.numbers(line.measure)
                codes.append(2 * is_reachable(line, pd.Series(before)).to_numpy(np.int64) + np.isnan(before))
        for rule in self._rules.contraindications:
            truth = assess(rule["when"], patients)
            codes.append(truth.holds + 2 * truth.unknown.astype(np.int64))
        return codes

    @property
    def _rules(self) -> TechniqueRules:
        model = self.model
        is_own = model.technique in model.contract.own_techniques
        return model.rules if is_own else renew_rules(model.technique, model.outcome, model.rules)

    def _judge(
        self,
        patients: Patients,
        unreadable: list[tuple[str, ...]],
        far: npt.NDArray[np.uint64],
        together: BoolArray,
    ) -> pd.DataFrame:
        model, encoder = self.model, self.model.response.encoder
        episodes = conform("episodes", patients.table.to_pandas(), model.contract)
        names = model.response.domain.names
        bits = {name: (far >> np.uint64(place)) & np.uint64(1) > 0 for place, name in enumerate(names)}
        out_of_domain = explain_distance(
            encoder, pd.DataFrame(bits, index=episodes.index), encoder.find_unseen(episodes), together
        )
        named = pd.Series(unreadable, index=episodes.index, dtype=object)
        return judge_patients(model, episodes, named, out_of_domain, allow_contradicted=self.allow_contradicted).drop(
            columns=list(APART)
        )


def make_scorer(model: Predictor, *, allow_contradicted: bool = False) -> Scorer | None:
    """Make the scorer of a model; None for a model that the core does not cover."""
    plan = plan_linear(model.response)
    return None if plan is None else Scorer(model=model, plan=plan, allow_contradicted=allow_contradicted)


def _take(words: pd.Series, numbers: IntArray) -> pa.Array:
    """Give each row what its pattern has; texts as a dictionary."""
    if pd.api.types.is_string_dtype(words.dtype):
        codes, distinct = pd.factorize(words)
        taken = pa.array(codes[numbers].astype(np.int32))
        return pa.DictionaryArray.from_arrays(taken, pa.array(distinct.tolist(), pa.string()))
    kept = pa.array(words, from_pandas=True)
    return kept.take(pa.array(numbers))
