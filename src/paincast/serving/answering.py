"""Answer what is asked of checked patients: each technique of those of whom it is asked, in line with each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from paincast.contract import Contract
from paincast.deferred import pandas as pd
from paincast.eligibility import assess_technique, explain_unreadable, set_technique
from paincast.predictor import Predictor, make_abstentions
from paincast.predictor.answering.frames import to_table
from paincast.predictor.answering.ready import ReadyPatients
from paincast.predictor.answering.scorer import Detail
from paincast.predictor.route import Answer, Answered
from paincast.predictor.rows import CODED_SCHEMA
from paincast.schema import COMPARATORS
from paincast.scoring.arrays import to_arrow
from paincast.scoring.patients import Patients
from paincast.serving.asked import (
    EVERYTHING,
    NO_INDICATION,
    Asking,
    Coded,
    explain_nobody,
    list_treated,
    select_patients,
)
from paincast.serving.coherence import Told, bring_in_line, find_contradictions, list_linked
from paincast.serving.months import Asked, choose_model, common_contract, explain_no_model

IntArray = npt.NDArray[np.intp]


def make_answer(models: Mapping[str, Predictor], asking: Asking = EVERYTHING) -> Answer:
    """Make the function that answers what is asked of checked patients.

    Parameters
    ----------
    models : mapping of Predictor
        Models by name.
    asking : Asking
        What is asked, from :func:`paincast.serving.asked.check_asking`.
    """
    return partial(answer_ready, models, asking, common_contract(models.values()), list_treated(models.values()))


def answer_ready(
    models: Mapping[str, Predictor],
    asking: Asking,
    contract: Contract,
    treated: Mapping[str, tuple[str, ...]],
    ready: ReadyPatients,
) -> Answered:
    """Answer what is asked; parameters are those of :func:`make_answer`, and the indications of each technique.

    Returns
    -------
    Answered
        For each patient a row for each technique, outcome and month that is asked, in this order.
    """
    order = (*contract.techniques, *COMPARATORS)
    asked = select_patients(
        _code(ready.patients, "indication", contract.indications),
        _code(ready.patients, "technique", order),
        treated,
        order=order,
        techniques=asking.techniques,
    )
    blocks: list[tuple[pa.Table, IntArray]] = []
    for technique, rows in asked.rows.items():
        answers = _answer_technique(technique, ready.take(rows), models, contract, asking)
        blocks += [(table, rows) for table in answers]
    if len(asked.nobody):
        blocks.append((_abstain(ready.take(asked.nobody), treated), asked.nobody))
    return _interleave(blocks)


def _code(patients: Patients, name: str, levels: tuple[str, ...]) -> Coded:
    codes = patients.codes(name, levels)
    return Coded(np.where(codes < len(levels), codes, -1), levels)


def _interleave(blocks: Sequence[tuple[pa.Table, IntArray]]) -> Answered:
    """Put the rows of each patient together."""
    if not blocks:
        return Answered(CODED_SCHEMA.empty_table(), np.empty(0, dtype=np.intp))
    if len(blocks) == 1:
        return Answered(*blocks[0])
    rows = np.concatenate([rows for _, rows in blocks])
    order = np.argsort(rows, kind="stable")
    return Answered(_take([table for table, _ in blocks], order), rows[order])


def _take(tables: Sequence[pa.Table], order: IntArray) -> pa.Table:
    """Put rows of tables in some order; of their texts each is there once."""
    joined = pa.concat_tables(tables).unify_dictionaries()
    is_in_order = np.array_equal(order, np.arange(len(joined)))  # as the answers of one patient are
    return (joined if is_in_order else joined.take(to_arrow(order))).combine_chunks()


def _abstain(ready: ReadyPatients, techniques: Iterable[str]) -> pa.Table:
    """Make the only row of patients of whom no technique is asked."""
    episodes, unreadable = ready.to_episodes()
    nobody = explain_nobody(techniques)
    because = [
        explain_unreadable(names, used=(), required={"indication"}) or (NO_INDICATION if is_missing else nobody)
        for names, is_missing in zip(unreadable, episodes["indication"].isna(), strict=True)
    ]
    return to_table(make_abstentions(episodes, "", "", pd.Series(because, index=episodes.index, dtype="str")))


def _answer_technique(
    technique: str, ready: ReadyPatients, models: Mapping[str, Predictor], contract: Contract, asking: Asking
) -> list[pa.Table]:
    """Answer for a technique; outcomes that are linked to those asked are computed, and not returned."""
    outcomes = asking.list_outcomes(technique, models.values(), contract)
    asked = [Asked(technique, outcome, month) for outcome in outcomes for month in asking.months or (None,)]
    own = {name: model for name, model in models.items() if model.technique == technique}
    linked = [one._replace(outcome=other) for other in list_linked(outcomes) for one in asked]
    beside = [one for one in dict.fromkeys(linked) if choose_model(own, one) is not None]
    every = (*asked, *beside)
    chosen = [choose_model(own, one) for one in every]
    detail = Detail(interval=asking.interval, explain=asking.explain)
    tables = [
        _explain_silence(ready, one, models, contract)
        if model is None
        else model.answer_table(ready, allow_contradicted=asking.allow_contradicted, detail=detail)
        for one, model in zip(every, chosen, strict=True)
    ]
    answering = [place for place, model in enumerate(chosen) if model is not None]
    present = [model for model in chosen if model is not None]
    told = [_read_numbers(model, tables[place]) for model, place in zip(present, answering, strict=True)]
    contradicted = np.flatnonzero(find_contradictions(told, ready.patients.numbers("pain_nrs")))
    if len(contradicted):
        mended = _bring_in_line(ready.take(contradicted), present, asking, detail)
        for place, rows in zip(answering, mended, strict=True):
            tables[place] = _replace(tables[place], contradicted, rows)
    return tables[: len(asked)]


def _read_numbers(model: Predictor, table: pa.Table) -> Told:
    numbers = {name: table[name].to_numpy() for name in ("probability", "expected")}
    return Told(outcome=model.outcome, month=model.horizon_months, measures=model.measures, **numbers)


def _bring_in_line(ready: ReadyPatients, models: Sequence[Predictor], asking: Asking, detail: Detail) -> list[pa.Table]:
    """Answer patients whose answers contradict each other by all models together."""
    episodes, unreadable = ready.to_episodes()
    answers = [
        model.answer_episodes(episodes, unreadable, allow_contradicted=asking.allow_contradicted, detail=detail)
        for model in models
    ]
    return [to_table(one.write()) for one in bring_in_line(answers, episodes["pain_nrs"])]


def _replace(table: pa.Table, rows: IntArray, by: pa.Table) -> pa.Table:
    places = np.arange(table.num_rows)
    places[rows] = table.num_rows + np.arange(len(rows))
    return _take([table, by], places)


def _explain_silence(
    ready: ReadyPatients, asked: Asked, models: Mapping[str, Predictor], contract: Contract
) -> pa.Table:
    """Make the abstentions where no model is asked."""
    patients = set_technique(ready.to_episodes()[0], asked.technique, contract)
    because = explain_no_model(models, asked, patients, contract)
    rows = make_abstentions(patients, asked.technique, asked.outcome, because)
    if asked.month is not None:
        rows = rows.assign(horizon_months=asked.month)
    if asked.technique not in COMPARATORS:
        rows = rows.assign(**assess_technique(asked.technique, patients, contract))
    return to_table(rows)
