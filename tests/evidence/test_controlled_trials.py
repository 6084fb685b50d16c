"""Trials against control arms are those of the extraction table, those that found no difference as well."""

from __future__ import annotations

import pytest

from paincast.evidence.comparators import CONTROL_KINDS
from paincast.evidence.context import ControlledTrial
from paincast.evidence.records import load_controlled_trials, load_records, load_sources
from paincast.evidence.synthesis.extraction import load_studies
from paincast.evidence.synthesis.study import OUTCOMES, Result, Study
from paincast.schema import TECHNIQUES
from paincast.statistics import compute_newcombe_interval

TRIALS = [(technique, trial) for technique in TECHNIQUES for trial in load_controlled_trials(technique)]
RESPONSES = (
    *("pain_relief_50", "pain_relief_30", "pain_relief_other", "near_complete_relief", "global_improvement"),
    *("function_response", "composite_response", "surgery_avoided"),
)
NOT_RETOLD = {
    "kennedy2018": "no pain score",
    "kennedy2019": "no pain score",
    "snidvongs2017": "recruitment failed, without figures",
    "cooled_sham40": "no figure in what was read",
    "patel2012": "no figure in what was read",
    "process_reg": "the registration of a trial",
    "facts2018": "its ablations went without a control arm",
    "lyman_tka143": "before a knee replacement",
    "friedly2018": "patients of friedly2014",
    "turner2015": "patients of friedly2014",
    "process2008": "patients of process2007",
    "khalil2019": "patients of smuck2021",
    "cohen2014cervical": "of the neck",
    "manchikanti2012cerv_disc": "of the neck",
    "manchikanti2012cerv_stenosis": "of the neck",
}
"""Trials of the table with a control arm that are not retold, and why."""


@pytest.fixture(scope="module")
def studies() -> dict[str, Study]:
    return dict(load_studies())


@pytest.mark.parametrize(("technique", "trial"), TRIALS, ids=lambda item: getattr(item, "source", item))
def test_a_trial_is_of_patients_and_arms_of_the_table(technique: str, trial: ControlledTrial, studies) -> None:
    study = studies[trial.source]
    assert {*trial.indications} <= {*study.indications}
    assert trial.outcome in OUTCOMES
    treated = [arm for arm in study.arms.values() if arm.technique == technique]
    assert treated
    assert not trial.approach or trial.approach in {arm.approach for arm in treated}
    assert trial.against in {arm.kind for arm in study.arms.values()}
    assert load_sources()[trial.source].citation == study.citation
    assert trial.finding.strip(".") == trial.finding


@pytest.mark.parametrize(("technique", "trial"), TRIALS, ids=lambda item: getattr(item, "source", item))
def test_the_interval_of_both_arms_says_the_same(technique: str, trial: ControlledTrial, studies) -> None:
    """Where the table counts both arms; of a trial whose interval only just holds none, its own answer stands."""
    study = studies[trial.source]

    def find(kinds: tuple[str, ...]) -> list[Result]:
        names = [
            name
            for name, arm in study.arms.items()
            if arm.kind in kinds and not arm.regroups and (arm.kind != "treatment" or arm.technique == technique)
        ]
        return [
            item
            for item in study.results
            if item.arm in names
            and (item.outcome, item.month) == (trial.outcome, trial.month)
            and item.events is not None
            and not item.crossed_over
        ]

    treated, control = find(("treatment",)), find((trial.against,))
    if trial.outcome not in RESPONSES or not treated or not control:
        return
    lower, upper = compute_newcombe_interval(
        (treated[0].events or 0) / (treated[0].n or 1),
        treated[0].n or 1,
        (control[0].events or 0) / (control[0].n or 1),
        control[0].n or 1,
    )
    expected = "better" if lower > 0 else "worse" if upper < 0 else "none"
    assert trial.result == expected


def test_no_trial_with_a_control_arm_is_left_out(studies) -> None:
    treated: dict[str, set[str]] = {}
    for record in load_records():
        if not record.gap:
            treated.setdefault(record.technique, set()).update(record.indications)
    told = {(technique, trial.source) for technique, trial in TRIALS}
    missing = []
    for name, study in studies.items():
        kinds = {arm.kind for arm in study.arms.values()}
        if study.design not in ("randomised trial", "crossover trial") or not kinds & {*CONTROL_KINDS}:
            continue
        for technique in {arm.technique for arm in study.arms.values() if arm.kind == "treatment"} & {*treated}:
            is_of_record = {*study.indications} & treated[technique]
            if is_of_record and (technique, name) not in told and name not in NOT_RETOLD:
                missing.append((technique, name))
    assert not missing


def test_results_of_each_kind_are_told() -> None:
    results = {trial.result for _, trial in TRIALS}
    assert results == {"better", "none", "worse"}
    [worse] = [trial for _, trial in TRIALS if trial.result == "worse"]
    assert (worse.source, worse.month) == ("karppinen2001", 6)
