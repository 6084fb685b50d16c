"""Judge the episodes of a cohort by a combination of values: who can be judged, and who breaks the rule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.errors import PaincastError
from paincast.evidence.records import gaps_of, indications_of
from paincast.profiling.linked import BoolArray, FloatArray, LinkedCohort
from paincast.schema import TECHNIQUES

Judgement = tuple[BoolArray, BoolArray]
"""Episodes that a rule can judge, and those of them that break it; each of shape (n,)."""

BMI_TOLERANCE = 0.1
MUCH_PAIN, WORSE_POINTS = 4.0, 2.0
FEWEST_VISITS, FEWEST_VALUES = 3, 5


def _number(linked: LinkedCohort, column: str) -> FloatArray:
    """Read a number or yes/no column of the episodes; NaN where it is missing."""
    return np.asarray(linked.episodes[column].astype("Float64").to_numpy(dtype=float, na_value=np.nan), dtype=float)


def _text(linked: LinkedCohort, column: str) -> npt.NDArray[np.object_]:
    return linked.episodes[column].astype("str").fillna("").to_numpy(dtype=object)


def make_comparison(*columns: str, broken: Callable[..., npt.ArrayLike]) -> Callable[[LinkedCohort], Judgement]:
    """Make a judge of numbers and yes/no columns of an episode, of those in whom all are known."""

    def judge(linked: LinkedCohort) -> Judgement:
        values = [_number(linked, column) for column in columns]
        known = np.all([np.isfinite(value) for value in values], axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return known, known & np.asarray(broken(*values), dtype=bool)

    return judge


def differs_from_bmi(bmi: FloatArray, height_cm: FloatArray, weight_kg: FloatArray) -> BoolArray:
    """Flag body mass indices that height and weight contradict."""
    computed = weight_kg / (height_cm / 100.0) ** 2
    return np.asarray(np.abs(computed - bmi) > BMI_TOLERANCE * bmi)


def judge_pregnancy(linked: LinkedCohort) -> Judgement:
    """Judge whether a man is pregnant."""
    pregnant, sex = _number(linked, "pregnant"), _text(linked, "sex")
    known = np.isfinite(pregnant) & (sex != "")
    return known, known & (pregnant == 1) & (sex == "male")


def judge_indication(linked: LinkedCohort) -> Judgement:
    """Judge whether a record of the technique names the indication; techniques without evidence are not judged."""
    technique, indication = _text(linked, "technique"), _text(linked, "indication")
    judged, broken = np.zeros(linked.n, dtype=bool), np.zeros(linked.n, dtype=bool)
    for name in set(technique) & set(TECHNIQUES):
        try:
            treated = {*indications_of(name), *gaps_of(name)}
        except PaincastError:
            continue
        rows = (technique == name) & (indication != "")
        judged |= rows
        broken |= rows & ~np.isin(indication, list(treated))
    return judged, broken


def judge_failed_back(linked: LinkedCohort) -> Judgement:
    """Judge whether failed back surgery follows a surgery."""
    surgery = _number(linked, "prior_spine_surgery")
    judged = np.isfinite(surgery) & (_text(linked, "indication") == "failed_back_surgery")
    return judged, judged & (surgery == 0)


def judge_steroid(linked: LinkedCohort) -> Judgement:
    """Judge whether steroid and dose are both there or both absent."""
    steroid, dose = _text(linked, "steroid"), _number(linked, "steroid_dose_mg")
    judged = (steroid != "") & np.isfinite(dose)
    return judged, judged & ((steroid == "no_steroid") != (dose == 0))


def _pair_pain(linked: LinkedCohort) -> tuple[FloatArray, pd.DataFrame]:
    visits = linked.visits
    return _number(linked, "pain_nrs")[visits["episode_id"].to_numpy()], visits


def _judge_visits(linked: LinkedCohort, known: npt.ArrayLike, broken: npt.ArrayLike) -> Judgement:
    is_known, is_broken = np.asarray(known, dtype=bool), np.asarray(broken, dtype=bool)
    return linked.flag_episodes(is_known), linked.flag_episodes(is_known & is_broken)


def judge_improved_with_more_pain(linked: LinkedCohort) -> Judgement:
    """Judge whether a patient with more pain is very much improved."""
    before, visits = _pair_pain(linked)
    rise = visits["pain_nrs"] - before
    return _judge_visits(linked, rise.notna() & visits["pgic"].notna(), (rise >= WORSE_POINTS) & (visits["pgic"] <= 1))


def judge_worse_with_relief(linked: LinkedCohort) -> Judgement:
    """Judge whether a patient with half relief is much worse."""
    before, visits = _pair_pain(linked)
    known = visits["pain_nrs"].notna() & visits["pgic"].notna() & (before > 0)
    return _judge_visits(linked, known, (visits["pain_nrs"] <= 0.5 * before) & (visits["pgic"] >= 6))


def judge_perfect_with_pain(linked: LinkedCohort) -> Judgement:
    """Judge whether a patient with much pain has no problem at all by EQ-5D."""
    visits = linked.visits
    known = visits["pain_nrs"].notna() & visits["eq5d_index"].notna()
    return _judge_visits(linked, known, (visits["eq5d_index"] == 1) & (visits["pain_nrs"] >= MUCH_PAIN))


def judge_day_of_procedure(linked: LinkedCohort) -> Judgement:
    """Judge whether a visit is on the day of the procedure."""
    month = linked.visits["month"]
    return _judge_visits(linked, month.notna(), month == 0)


def judge_after_death(linked: LinkedCohort) -> Judgement:
    """Judge whether anything is recorded after a death."""
    died = linked.death_month.to_numpy()
    visits, events = linked.visits, linked.events
    seen = linked.flag_episodes(visits["month"] > died[visits["episode_id"].to_numpy()])
    of_event = events["episode_id"].to_numpy()
    later = (events["kind"] != "death").to_numpy() & (events["month"].to_numpy() > died[of_event])
    happened = np.bincount(of_event[later], minlength=linked.n) > 0
    judged = np.isfinite(died)
    return judged, judged & (seen | happened)


def judge_deaths(linked: LinkedCohort) -> Judgement:
    """Judge whether there is more than one death."""
    deaths = linked.events.loc[linked.events["kind"] == "death", "episode_id"].to_numpy()
    counts = np.bincount(deaths, minlength=linked.n)
    return counts > 0, counts > 1


def judge_explant(linked: LinkedCohort) -> Judgement:
    """Judge whether something is taken out that was never put in."""
    removed = linked.events.loc[linked.events["kind"] == "explant", "episode_id"].to_numpy()
    judged = np.bincount(removed, minlength=linked.n) > 0
    return judged, judged & (_text(linked, "technique") != "spinal_cord_stimulation")


def judge_unchanged(linked: LinkedCohort) -> Judgement:
    """Judge whether pain is the same before the procedure and at three or more visits."""
    before, visits = _pair_pain(linked)
    known = visits["pain_nrs"].notna().to_numpy() & np.isfinite(before)
    rows = visits["episode_id"].to_numpy()[known]
    same = (visits["pain_nrs"].to_numpy() == before)[known]
    n_visits = np.bincount(rows, minlength=linked.n)
    n_same = np.bincount(rows[same], minlength=linked.n)
    judged = n_visits >= FEWEST_VISITS
    return judged, judged & (n_same == n_visits) & (_number(linked, "pain_nrs") > 0)


def make_patient_judge(column: str, tolerance: float = 0.0) -> Callable[[LinkedCohort], Judgement]:
    """Make a judge of what must be the same in all episodes of a patient."""

    def judge(linked: LinkedCohort) -> Judgement:
        if column == "sex":
            values = pd.Series(pd.factorize(linked.episodes["sex"])[0]).replace(-1, np.nan).astype(float)
        else:
            values = pd.Series(_number(linked, "procedure_year") - _number(linked, "age_years"))
        of_patient = values.groupby(linked.patients)
        judged = (of_patient.transform("count") > 1) & values.notna()
        spread = of_patient.transform("max") - of_patient.transform("min")
        return judged.to_numpy(), (judged & (spread > tolerance)).to_numpy()

    return judge


def judge_twins(linked: LinkedCohort) -> Judgement:
    """Judge whether two episodes of a patient are alike in everything that is known before the procedure."""
    columns = [name for name, column in linked.contract.tables["episodes"].items() if column.timing == "before"]
    values = linked.episodes[[name for name in columns if name not in ("episode_id", "patient_id")]]
    several = np.bincount(linked.patients)[linked.patients] > 1 if linked.n else np.zeros(0, dtype=bool)
    told = several & (values.notna().sum(axis=1).to_numpy() >= FEWEST_VALUES)
    twins = np.zeros(linked.n, dtype=bool)
    twins[told] = values[told].assign(patient=linked.patients[told]).duplicated(keep=False).to_numpy()
    return told, twins
