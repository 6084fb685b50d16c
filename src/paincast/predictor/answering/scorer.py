"""Answer patients by the scoring core: numbers for every row, words once for each pattern of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from paincast.contract import Contract
from paincast.eligibility import explain_unreadable
from paincast.evidence.rules import TechniqueRules, renew_rules
from paincast.explain import LEAST_REACH, MOST_MISSING, format_value
from paincast.models.domain import find_limit
from paincast.outcomes.criteria import is_reachable
from paincast.predictor.answering.judgement import Pattern, judge
from paincast.predictor.answering.kinds import Kind, make_kind
from paincast.predictor.answering.ready import ReadyPatients, Unreadable
from paincast.predictor.answers import MOST_REASONS
from paincast.predictor.rows import ANSWERS, CODED_SCHEMA, LISTS, PREDICTION_COLUMNS, TYPES, UNCERTAINTY_COLUMNS
from paincast.scoring.arrays import join_texts, make_texts, to_arrow
from paincast.scoring.conditions import Frozen, Truth, assess_frozen, freeze, list_columns
from paincast.scoring.functions import ndtri
from paincast.scoring.kinds.score import Request, Score, tell_nothing
from paincast.scoring.number_texts import NumberTexts
from paincast.scoring.patients import FLAGS, Patients
from paincast.scoring.patterns import Patterns
from paincast.scoring.reasons import WORDED_REASON, list_missing, list_reasons

if TYPE_CHECKING:
    from paincast.predictor.model import Predictor

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Detail(NamedTuple):
    """How much is computed: limits and shares of the uncertainty, and the most reasons in either direction."""

    interval: bool = True
    explain: int = MOST_REASONS


EVERYTHING = Detail()
"""What is computed where nothing is said."""


MOST_PATTERNS = 10_000
"""Patterns whose words are remembered from batch to batch; past that, they are made anew."""

MOST_LAID_OUT = 2_000
"""Cells of a column for few rows that are kept laid out."""

FEW_ROWS = 100
"""Most rows whose words are gathered one by one, which spares arrays of all words."""


@dataclass
class WordColumn:
    """A column of words: the distinct ones, and the place among them of each pattern's."""

    kind: pa.DataType
    _places: dict[Any, int] = field(default_factory=dict)
    _codes: list[int] = field(default_factory=list)
    _laid_out: tuple[npt.NDArray[np.int32], pa.Array] | None = None

    def add(self, cells: Iterable[Any]) -> None:
        """Add the words of further patterns."""
        places = self._places
        known = (None if cell != cell else cell for cell in cells)  # NaN is no value
        self._codes.extend([places.setdefault(cell, len(places)) for cell in known])
        self._laid_out = None

    def take(self, numbers: IntArray) -> pa.Array:
        """Give each row what its pattern has; texts as a dictionary."""
        if self._laid_out is None:
            self._laid_out = np.array(self._codes, dtype=np.int32), pa.array(list(self._places), self.kind)
        codes, distinct = self._laid_out
        is_constant = len(distinct) == 1
        if not pa.types.is_string(self.kind):
            return pa.repeat(distinct[0], len(numbers)) if is_constant else distinct.take(to_arrow(codes[numbers]))
        places = np.zeros(len(numbers), dtype=np.int32) if is_constant else codes[numbers]
        return pa.DictionaryArray.from_arrays(to_arrow(places), distinct)


@dataclass
class Words:
    """What stands beside the numbers in each pattern, by column."""

    _rows: list[dict[str, Any]] = field(default_factory=list)
    _columns: dict[str, WordColumn] = field(default_factory=dict)
    _n_laid_out: int = 0
    _of_few: dict[tuple[str, tuple[Any, ...]], pa.Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add patterns, in the order of their numbers."""
        self._rows.extend(rows)

    def take(self, numbers: IntArray) -> dict[str, pa.Array]:
        """Give each row what its pattern has; texts as dictionaries."""
        if len(numbers) <= FEW_ROWS:
            return self._take_few([self._rows[number] for number in numbers.tolist()])
        new, self._n_laid_out = self._rows[self._n_laid_out :], len(self._rows)
        if new:
            _add_words(self._columns, new)
        return {name: column.take(numbers) for name, column in self._columns.items()}

    def _take_few(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
        """Lay out few rows; most of their columns are those of other patients."""
        if len(self._of_few) > MOST_LAID_OUT:
            self._of_few.clear()
        return {name: self._lay_out(name, tuple([row[name] for row in rows])) for name in rows[0]}

    def _lay_out(self, name: str, cells: tuple[Any, ...]) -> pa.Array:
        laid_out = self._of_few.get((name, cells))
        if laid_out is None:
            column = WordColumn(TYPES.get(name, pa.string()))
            column.add(cells)
            laid_out = self._of_few[name, cells] = column.take(np.arange(len(cells)))
        return laid_out


def _add_words(columns: dict[str, WordColumn], rows: Sequence[Mapping[str, Any]]) -> None:
    for name in rows[0]:
        column = columns.setdefault(name, WordColumn(TYPES.get(name, pa.string())))
        column.add([row[name] for row in rows])


class Facts(NamedTuple):
    """What the words of some patients depend on beside what was scored, in arrays of shape (n,).

    ``indication`` and ``approach`` as codes; ``unseen`` by variable; ``known`` and ``reachable`` of the baseline values
    that the outcome needs; ``truths`` of the contraindications.
    """

    patients: Patients
    indication: npt.NDArray[np.int32]
    approach: npt.NDArray[np.int32]
    unseen: dict[str, BoolArray]
    known: list[BoolArray]
    reachable: BoolArray
    truths: list[tuple[Truth, IntArray]]

    def code(self) -> list[npt.NDArray[np.generic]]:
        """Code them: rows with the same codes get the same words."""
        truths = [code for _, code in self.truths]
        return [self.indication, self.approach, *self.unseen.values(), *self.known, self.reachable, *truths]

    def describe(self, row: int, *, far: list[str], together: bool) -> Pattern:
        """Describe the pattern of a row."""
        return Pattern(
            indication=self._read_text("indication", row),
            approach=self._read_text("approach", row),
            unseen=[name for name, flags in self.unseen.items() if flags[row]],
            far=far,
            together=together,
            known=[bool(flags[row]) for flags in self.known],
            reachable=bool(self.reachable[row]),
            holds=[None if truth.unknown[row] else bool(truth.holds[row]) for truth, _ in self.truths],
        )

    def _read_text(self, name: str, row: int) -> str | None:
        table = self.patients.table
        return table[name][row].as_py() if name in table.column_names else None


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

    @cached_property
    def rules(self) -> TechniqueRules:
        """Rules of the technique in the form of this version."""
        model = self.model
        is_own = model.technique in model.contract.own_techniques
        return model.rules if is_own else renew_rules(model.technique, model.outcome, model.rules)

    @cached_property
    def _levels(self) -> list[tuple[str, frozenset[str]]]:
        """The levels of each variable that may have others: not of one that is yes or no, of which both were seen."""
        variables = self.model.response.encoder.variables_
        levels = [(variable.name, frozenset(variable.levels)) for variable in variables if variable.levels]
        return [(name, seen) for name, seen in levels if seen != frozenset(FLAGS)]

    @cached_property
    def _conditions(self) -> list[Frozen]:
        return [freeze(rule["when"]) for rule in self.rules.contraindications]

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
            Of the types of :data:`CODED_SCHEMA`.
        """
        if not len(ready):
            return CODED_SCHEMA.empty_table()
        patients = ready.select(self.columns, self.model.technique)
        request = Request(self.model.level, detail.interval, detail.explain)
        explained_later = self.kind.explains_apart and detail.explain > 0
        score = None
        if self.kind.measure is not None and len(ready) <= FEW_ROWS:
            far, squared_distance = self.kind.measure(patients)
        else:
            score = self.kind.score(patients, request._replace(most=0) if explained_later else request)
            far, squared_distance = score.far, score.squared_distance
        numbers = self._find_patterns(patients, far, squared_distance)
        columns: dict[str, pa.Array] = self._words.take(numbers)
        unread = self._explain_unreadable(ready.unreadable)
        if unread is not None:
            columns |= _abstain(columns, unread)
        answered = ~np.asarray(columns["abstained"].to_numpy(zero_copy_only=False))
        columns |= {name: ready.patients.column(name) for name in ("episode_id", "patient_id")}
        if not answered.any():
            return pa.table(_leave_out_all(columns, len(ready)))
        if score is None:
            score = self.kind.score(patients, request)
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
            return dict.fromkeys(LISTS, _list_nothing(len(patients)))
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
        return NumberTexts(partial(_format_number, self.model.contract))

    @cached_property
    def _reaches(self) -> tuple[list[str], FloatArray]:
        """List the variables whose missing value is told, the widest first, and half the width of each."""
        variances = self.kind.missing_variances
        reach = ndtri(0.5 + self.model.level / 2.0) * np.sqrt(np.array(list(variances.values()), dtype=float))
        widest = [place for place in np.argsort(-reach, kind="stable") if reach[place] >= LEAST_REACH]
        return [list(variances)[place] for place in widest], reach[widest]

    def _find_patterns(self, patients: Patients, far: BoolArray, squared_distance: FloatArray) -> IntArray:
        """Find the number of the pattern of each row, and judge those that are new."""
        if len(self._patterns) > MOST_PATTERNS:
            self._patterns, self._words = Patterns(), Words()
        together = squared_distance > find_limit(len(self.kind.domain_names))
        facts = self._read_facts(patients)
        found = self._patterns.find([together, *far, *facts.code()], len(patients))
        if len(found.new_rows):
            names = np.array(self.kind.domain_names, dtype=object)
            patterns = [
                facts.describe(row, far=names[far[:, row]].tolist(), together=bool(together[row]))
                for row in found.new_rows.tolist()
            ]
            self._words.add(judge(self.model, self.rules, patterns, allow_contradicted=self.allow_contradicted))
        return found.numbers

    def _explain_unreadable(self, unreadable: Unreadable) -> pa.DictionaryArray | None:
        """Give each row the reason to abstain because of what could not be read; None if no row has one."""
        if not any(unreadable.sets):
            return None
        used = {variable.name for variable in self.model.response.encoder.variables_}
        required = {*self.model.measures, "indication"}
        texts: dict[str, int] = {}
        explain = partial(explain_unreadable, used=used, required=required)
        places = [texts.setdefault(explain(names), len(texts)) for names in unreadable.sets]
        return make_texts(np.array(places)[unreadable.codes], list(texts)) if any(texts) else None

    def _read_facts(self, patients: Patients) -> Facts:
        """Read what the words depend on beside what was scored."""
        contract, lines = self.model.contract, [line for line in self.model.question.lines if line.needs_before]
        before = [patients.numbers(line.measure) for line in lines]
        reachable = [is_reachable(line, values) for line, values in zip(lines, before, strict=True)]
        return Facts(
            patients=patients,
            indication=patients.codes("indication", contract.indications),
            approach=patients.codes("approach", contract.episodes["approach"].categories),
            unseen={name: patients.find_unknown(name, levels) for name, levels in self._levels},
            known=[~np.isnan(values) for values in before],
            reachable=np.logical_or.reduce([np.zeros(len(patients), dtype=bool), *reachable]),
            truths=[assess_frozen(condition, patients) for condition in self._conditions],
        )


def make_scorer(model: Predictor, *, allow_contradicted: bool = False) -> Scorer:
    """Make the scorer of a model."""
    return Scorer(model=model, kind=make_kind(model.response), allow_contradicted=allow_contradicted)


def _format_number(contract: Contract, name: str, number: float) -> str:
    return format_value(contract.episodes[name], number)


def _list_nothing(n: int) -> pa.Array:
    """Make a column of empty lists."""
    return pa.ListArray.from_arrays(to_arrow(np.zeros(n + 1, dtype=np.int32)), pa.nulls(0, WORDED_REASON))


def _abstain(columns: Mapping[str, pa.Array], because: pa.DictionaryArray) -> dict[str, pa.Array]:
    """Abstain from the rows that have a further reason, which comes before the others."""
    silent = to_arrow(np.array([text != "" for text in because.dictionary.to_pylist()])[because.indices.to_numpy()])
    return {
        "abstained": pc.or_(columns["abstained"], silent),
        "level": pc.if_else(silent, pa.scalar(None, pa.float64()), columns["level"]),
        "abstained_because": join_texts(because, columns["abstained_because"]),
    }


def _leave_out_all(columns: dict[str, pa.Array], n: int) -> dict[str, pa.Array]:
    """Complete the columns of patients of whom none is answered."""
    known = {**_answer_nothing(n), **columns}
    return {name: known[name] for name in PREDICTION_COLUMNS}


@lru_cache(maxsize=4)
def _answer_nothing(n: int) -> dict[str, pa.Array]:
    """Make the columns of an answer, without values and reasons."""
    nothing = dict.fromkeys((*ANSWERS, *UNCERTAINTY_COLUMNS), pa.nulls(n, pa.float64()))
    return {**nothing, **dict.fromkeys(LISTS, _list_nothing(n))}


def _leave_out(values: FloatArray, answered: BoolArray) -> pa.Array:
    return to_arrow(values, ~answered | np.isnan(values))
