"""Answer patients by the scoring core: numbers for every row, words once for each pattern of rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import ndtri

from paincast.cohort.tables import conform
from paincast.evidence.rules import TechniqueRules, renew_rules
from paincast.explain import LEAST_REACH, MOST_MISSING, format_value
from paincast.models.domain import explain_distance, find_limit
from paincast.outcomes.criteria import is_reachable
from paincast.predictor.answering.judgement import judge_patients
from paincast.predictor.answering.kinds import Kind, make_kind
from paincast.predictor.answering.ready import ReadyPatients
from paincast.predictor.answers import MOST_REASONS
from paincast.predictor.rows import ANSWERS, LISTS, PREDICTION_COLUMNS, PREDICTION_SCHEMA, TYPES, UNCERTAINTY_COLUMNS
from paincast.scoring.conditions import assess, list_columns
from paincast.scoring.kinds.score import Request, Score, tell_nothing
from paincast.scoring.number_texts import NumberTexts
from paincast.scoring.patients import Patients
from paincast.scoring.patterns import Patterns
from paincast.scoring.reasons import WORDED_REASON, list_missing, list_reasons

if TYPE_CHECKING:
    from paincast.predictor.model import Predictor

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

APART = ("episode_id", "patient_id", *ANSWERS, *UNCERTAINTY_COLUMNS, *LISTS)
"""Columns of predictions that differ between patients of one pattern."""


class Detail(NamedTuple):
    """How much is computed: limits and shares of the uncertainty, and the most reasons in either direction."""

    interval: bool = True
    explain: int = MOST_REASONS


EVERYTHING = Detail()
"""What is computed where nothing is said."""


@dataclass
class Words:
    """What stands beside the numbers in each pattern, by column: texts as codes of distinct texts."""

    _codes: dict[str, IntArray] = field(default_factory=dict)
    _texts: dict[str, dict[str, int]] = field(default_factory=dict)
    _values: dict[str, pa.Array] = field(default_factory=dict)

    def add(self, judged: pd.DataFrame) -> None:
        """Add patterns, in the order of their numbers."""
        for name in map(str, judged.columns):
            column = pa.array(judged[name], from_pandas=True)
            if isinstance(column, pa.ChunkedArray):
                column = column.combine_chunks()
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                texts = self._texts.setdefault(name, {})
                codes = [texts.setdefault(text, len(texts)) for text in column.to_pylist()]
                known = self._codes.get(name, np.empty(0, dtype=np.int32))
                self._codes[name] = np.concatenate([known, np.array(codes, dtype=np.int32)])
                column = pa.array(list(texts), pa.string())
            elif name in self._values:
                column = pa.concat_arrays([self._values[name], column.cast(self._values[name].type)])
            self._values[name] = column.cast(TYPES.get(name, pa.string()))

    def take(self, numbers: IntArray) -> dict[str, pa.Array]:
        """Give each row what its pattern has; texts as dictionaries."""
        taken = pa.array(numbers)
        return {
            name: pa.DictionaryArray.from_arrays(pa.array(self._codes[name][numbers]), values)
            if name in self._codes
            else values.take(taken)
            for name, values in self._values.items()
        }


@dataclass
class Scorer:
    """A model as the core scores it, and the words it has made so far.

    Parameters
    ----------
    model : Predictor
        The model.
    kind : Kind
        Its response as the core scores it.
    allow_contradicted : bool
        Whether to answer where an external validation contradicts the model.
    """

    model: Predictor
    kind: Kind
    allow_contradicted: bool = False
    _patterns: Patterns = field(default_factory=Patterns)
    _words: Words = field(default_factory=Words)
    _unreadable: dict[tuple[str, ...], int] = field(default_factory=dict)

    @cached_property
    def rules(self) -> TechniqueRules:
        """Rules of the technique in the form of this version."""
        model = self.model
        is_own = model.technique in model.contract.own_techniques
        return model.rules if is_own else renew_rules(model.technique, model.outcome, model.rules)

    @cached_property
    def columns(self) -> list[str]:
        """Columns of ``episodes`` on which an answer depends."""
        variables = [variable.name for variable in self.model.response.encoder.variables_]
        measures = [line.measure for line in self.model.question.lines if line.needs_before]
        conditions = [name for rule in self.rules.contraindications for name in list_columns(rule["when"])]
        named = ("episode_id", "patient_id", "technique", "indication", "approach")
        return list(dict.fromkeys([*named, *variables, *measures, *conditions, *self.kind.reads]))

    def answer(self, ready: ReadyPatients, detail: Detail) -> pa.Table:
        """Answer patients.

        Parameters
        ----------
        ready : ReadyPatients
            Checked patients, n of them.
        detail : Detail
            How much is computed.

        Returns
        -------
        pyarrow.Table of shape (n, len(PREDICTION_COLUMNS))
            Texts are dictionaries.
        """
        if not len(ready):
            return PREDICTION_SCHEMA.empty_table()
        patients = _set_technique(ready, self.columns, self.model.technique)
        request = Request(self.model.level, detail.interval, detail.explain)
        explained_later = self.kind.explains_apart and detail.explain > 0
        score = self.kind.score(patients, request._replace(most=0) if explained_later else request)
        numbers = self._find_patterns(patients, ready, score)
        columns: dict[str, pa.Array] = self._words.take(numbers)
        answered = np.asarray(pc.invert(columns["abstained"]).to_numpy(zero_copy_only=False))
        columns |= {name: ready.patients.table[name] for name in ("episode_id", "patient_id")}
        for name in (*ANSWERS, *UNCERTAINTY_COLUMNS):
            values = score.numbers.get(name)
            columns[name] = pa.nulls(len(ready), pa.float64()) if values is None else _leave_out(values, answered)
        if explained_later:
            score = self._explain(patients, score, answered, request)
        columns |= self._list(patients, score, answered, detail)
        return pa.table({name: columns[name] for name in PREDICTION_COLUMNS})

    def _explain(self, patients: Patients, score: Score, answered: BoolArray, request: Request) -> Score:
        """Add the strongest contributions of the patients who get an answer."""
        rows = np.flatnonzero(answered)
        if not len(rows):
            return score._replace(strongest=tell_nothing(len(patients), request.most))
        explained = patients if len(rows) == len(patients) else patients.take(rows)
        strongest = self.kind.score(explained, request._replace(interval=False)).strongest
        return score._replace(strongest=strongest.spread(rows, len(patients)))

    def _list(self, patients: Patients, score: Score, answered: BoolArray, detail: Detail) -> dict[str, pa.Array]:
        if not detail.explain:
            nothing = pa.ListArray.from_arrays(np.zeros(len(patients) + 1, dtype=np.int32), pa.nulls(0, WORDED_REASON))
            return dict.fromkeys(LISTS, nothing)
        unit = self.model.response.unit
        listed = {}
        strongest = score.strongest
        for name, terms, sizes in (
            ("reasons_for", strongest.upward, strongest.upward_sizes),
            ("reasons_against", strongest.downward, strongest.downward_sizes),
        ):
            told = np.where(answered[:, None], terms, np.int16(-1))
            listed[name] = list_reasons(
                self.kind.terms,
                patients,
                told,
                sizes,
                unit=unit,
                texts=self._texts,
            )
        names, reach = self._reaches
        if score.missing_scale is not None:
            reach = reach * score.missing_scale[:, None]
        most = max(MOST_MISSING, detail.explain)
        listed["missing_values"] = list_missing(names, reach, patients, answered, unit=unit, most=most)
        return listed

    @cached_property
    def _texts(self) -> NumberTexts:
        columns = self.model.contract.episodes
        return NumberTexts(lambda name, number: format_value(columns[name], number))

    @cached_property
    def _reaches(self) -> tuple[list[str], FloatArray]:
        """List the variables whose missing value is told, the widest first, and half the width of each."""
        variances = self.kind.missing_variances
        reach = ndtri(0.5 + self.model.level / 2.0) * np.sqrt(np.array(list(variances.values()), dtype=float))
        widest = [place for place in np.argsort(-reach, kind="stable") if reach[place] >= LEAST_REACH]
        return [list(variances)[place] for place in widest], reach[widest]

    def _find_patterns(self, patients: Patients, ready: ReadyPatients, score: Score) -> IntArray:
        """Find the number of the pattern of each row, and judge those that are new."""
        together = score.squared_distance > find_limit(len(self.kind.domain_names))
        unreadable = ready.unreadable
        sets = np.array([self._unreadable.setdefault(names, len(self._unreadable)) for names in unreadable.sets])
        codes = [sets[unreadable.codes], together, *self._code_words(patients, score)]
        found = self._patterns.find(codes, len(patients))
        if len(found.new_rows):
            rows = found.new_rows
            names = [unreadable.sets[code] for code in unreadable.codes[rows]]
            self._words.add(self._judge(patients.take(rows), names, score.far[:, rows], together[rows]))
        return found.numbers

    def _code_words(self, patients: Patients, score: Score) -> list[npt.NDArray[np.generic]]:
        """Code what the words depend on."""
        contract = self.model.contract
        codes: list[npt.NDArray[np.generic]] = [
            patients.codes("indication", contract.indications),
            patients.codes("approach", contract.episodes["approach"].categories),
        ]
        codes += list(score.far)
        for variable in self.model.response.encoder.variables_:
            if variable.levels:
                codes.append(patients.codes(variable.name, variable.levels) > len(variable.levels))
        for line in self.model.question.lines:
            if line.needs_before:
                before = patients.numbers(line.measure)
                codes.append(2 * is_reachable(line, before) + np.isnan(before))
        for rule in self.rules.contraindications:
            truth = assess(rule["when"], patients)
            codes.append(truth.holds + 2 * truth.unknown.astype(np.int64))
        return codes

    def _judge(
        self, patients: Patients, unreadable: list[tuple[str, ...]], far: BoolArray, together: BoolArray
    ) -> pd.DataFrame:
        model, encoder = self.model, self.model.response.encoder
        episodes = conform("episodes", patients.table.to_pandas(), model.contract)
        flags = pd.DataFrame(far.T, columns=list(self.kind.domain_names), index=episodes.index)
        out_of_domain = explain_distance(encoder, flags, encoder.find_unseen(episodes), together)
        names = pd.Series(unreadable, index=episodes.index, dtype=object)
        return judge_patients(model, episodes, names, out_of_domain, allow_contradicted=self.allow_contradicted).drop(
            columns=list(APART)
        )


def make_scorer(model: Predictor, *, allow_contradicted: bool = False) -> Scorer:
    """Make the scorer of a model."""
    return Scorer(model=model, kind=make_kind(model.response), allow_contradicted=allow_contradicted)


def _set_technique(ready: ReadyPatients, names: list[str], technique: str) -> Patients:
    """Select columns, without choices made for another technique."""
    declared = ready.contract.episodes
    choices = [
        name for name in names if name in declared and declared[name].role == "technique" and name != "technique"
    ]
    for_another = ready.patients.codes("technique", (technique,)) == 2
    return ready.patients.select(names).empty(choices, for_another)


def _leave_out(values: FloatArray, answered: BoolArray) -> pa.Array:
    return pa.array(values, mask=~answered | np.isnan(values))
