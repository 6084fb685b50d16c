"""Answer questions about patients, several at once, as JSON: the numbers and words of ``paincast.predict``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paincast.cohort.reading.patients import PatientRows, read_patients
from paincast.cohort.rejects import REJECT_FACTS
from paincast.deferred import pandas as pd
from paincast.errors import PaincastError
from paincast.predictor import LISTS
from paincast.predictor.answering.frames import list_cells, list_reasons
from paincast.predictor.answering.ready import ReadyPatients, check_patients
from paincast.predictor.ids import ID_COLUMNS, list_ids
from paincast.predictor.route import answer_jointly
from paincast.serving.answering import make_answer
from paincast.serving.asked import check_asking
from paincast.serving.months import select_models
from paincast.serving.rest.body import Question
from paincast.serving.rest.errors import RequestError, refuse
from paincast.serving.rest.models import ServedModels

MOST_ROWS = 50_000
"""Most rows of an answer."""

MOST_ABSENT = 300
"""Most combinations of technique, outcome and month without a model: why there is none takes longer than an answer."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is sent for a question, and what the audit log has of it.

    Parameters
    ----------
    body : bytes
        JSON.
    facts : dict
        Counts and versions.
    """

    body: bytes
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """A question whose patients are checked."""

    question: Question
    read: PatientRows
    ready: ReadyPatients
    rejects: pd.DataFrame | None


def answer_questions(served: ServedModels, questions: Sequence[Question]) -> list[Reply | PaincastError]:
    """Answer questions; those that ask the same of their patients are answered at once.

    Parameters
    ----------
    served : ServedModels
        All are answered by these.
    questions : sequence of Question

    Returns
    -------
    list of Reply or PaincastError
        One for each question; an error where it cannot be answered.
    """
    replies: dict[int, Reply | PaincastError] = {}
    groups: dict[Hashable, dict[int, _Checked]] = {}
    for place, question in enumerate(questions):
        try:
            checked = _check(served, question)
            groups.setdefault(tuple(question.keywords.items()), {})[place] = checked
        except PaincastError as error:
            replies[place] = refuse(error)
    for group in groups.values():
        replies |= _answer_group(served, group)
    return [replies[place] for place in range(len(questions))]


def _check(served: ServedModels, question: Question) -> _Checked:
    if not served.models:
        raise RequestError("no model is loaded", code="PC-REST-30", status=503, headers={"Retry-After": "5"})
    if served.count_rows(question) > MOST_ROWS or served.count_absent(question) > MOST_ABSENT:
        raise RequestError(
            f"the answer could have more than {MOST_ROWS:,} rows, or more than {MOST_ABSENT} techniques, outcomes and "
            "months have no model; send fewer patients, or ask for what /models lists",
            code="PC-REST-31",
            status=413,
        )
    read = read_patients(question.patients, contract=served.contract)
    ready, checked = check_patients(read, served.contract)
    return _Checked(question=question, read=read, ready=ready, rejects=checked.rejects)


def _answer_group(served: ServedModels, group: Mapping[int, _Checked]) -> dict[int, Reply | PaincastError]:
    """Answer questions that ask the same; where that fails, each alone, so that an error is one question's own."""
    try:
        return dict(zip(group, _answer(served, list(group.values())), strict=True))
    except PaincastError as error:
        if len(group) == 1:
            return dict.fromkeys(group, refuse(error))
    alone = [_answer_group(served, {place: checked}) for place, checked in group.items()]
    return {place: reply for replies in alone for place, reply in replies.items()}


def _answer(served: ServedModels, group: Sequence[_Checked]) -> list[Reply]:
    question = group[0].question
    asking = check_asking(served.contract, **question.keywords)
    models = select_models(served.models, question.months)
    predictions, parts = answer_jointly([checked.ready for checked in group], make_answer(models, asking))
    versions = {name: model.version for name, model in asking.keep_models(models).items()}
    columns = {"row": predictions.places.tolist()}
    for name in predictions.table.column_names:
        columns[name] = (list_reasons if name in LISTS else list_cells)(predictions.table[name])
    own = [{name: cells[part] for name, cells in columns.items()} for part in parts]
    return [_reply(served, *pair, versions) for pair in zip(group, own, strict=True)]


def _reply(served: ServedModels, checked: _Checked, columns: dict[str, list[Any]], versions: dict[str, str]) -> Reply:
    rows = _list_rows(columns, checked.read, served)
    rejects = [] if checked.rejects is None else checked.rejects[[*REJECT_FACTS]].to_dict("records")
    content = {"predictions": rows, "rejects": rejects, "models": versions}
    abstained = sum(row["abstained"] for row in rows)
    facts = {
        "patients": len(checked.question.patients),
        "asked": {name: value for name, value in checked.question.keywords.items() if name in ASKED},
        "answers": len(rows) - abstained,
        "abstentions": abstained,
        "rejects": dict(Counter(reject["rule"] for reject in rejects)),
        "models": {name: versions[name] for name in _list_answering(rows, served) if name in versions},
    }
    return Reply(body=json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii"), facts=facts)


ASKED = ("techniques", "outcomes", "months")


def _list_rows(columns: dict[str, list[Any]], read: PatientRows, served: ServedModels) -> list[dict[str, Any]]:
    """List predictions with the place of the patient, and ids as given."""
    ids = list_ids(read, served.contract)
    given = {name: [ids[name][place - 1] for place in columns["row"]] for name in ID_COLUMNS}
    told = {**columns, **given}
    return [dict(zip(told, row, strict=True)) for row in zip(*told.values(), strict=True)]


def _list_answering(rows: Sequence[dict[str, Any]], served: ServedModels) -> list[str]:
    """List the names of the models that made the rows."""
    made = {(row["technique"], row["outcome"], row["model_version"]) for row in rows if row["model_version"]}
    return [name for name, model in served.models.items() if (model.technique, model.outcome, model.version) in made]
