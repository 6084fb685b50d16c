"""What was found not to help stands as large on the page as what helps; harms and missing facts say what they are."""

from __future__ import annotations

import re

import pytest

from paincast.evidence.records import load_comparisons, load_controlled_trials
from paincast.planning import plan
from paincast.planning.contents import Harm
from paincast.planning.evidence_parts import STEPS
from paincast.planning.figures import publish
from paincast.planning.page.catalogue import load_words
from paincast.planning.page.compared import RESULTS, list_told
from paincast.planning.page.harms import write_harms
from paincast.planning.page.work_up import WAYS, find_way
from paincast.planning.page.writing import write_plan_page
from paincast.schema import EPISODES, TECHNIQUES

from .page_text import list_blocks

WORDS = load_words("en")


def find_article(page: str, technique: str) -> list[str]:
    [article] = re.findall(rf'<article aria-labelledby="{technique}">(.*?)</article>', page, re.DOTALL)
    return list_blocks(article)


def start_of(*names: str) -> str:
    return str(WORDS.get(*names)).partition("{")[0].strip()


def test_findings_of_no_difference_are_told_one_by_one(pages, plans):
    """As many sentences as findings, and each has the same form whatever was found."""
    counted = dict.fromkeys(RESULTS, 0)
    for name, made in plans.items():
        for item in made.techniques:
            if item.group not in ("indicated", "not assessed"):
                continue
            blocks = find_article(pages[name], item.technique)
            at = blocks.index(WORDS.get("option", "compared"))
            part = blocks[at + 1 : blocks.index(WORDS.get("option", "harms"))]
            told = list_told(item.trials)
            nothing = [text for text in part if "no difference from" in text]
            assert len(nothing) == sum(trial.result == "none" for trial in told)
            for result in RESULTS:
                counted[result] += sum(trial.result == result for trial in told)
            if not told:
                assert WORDS.get("compared", "nothing") in part
    assert min(counted.values()) >= 1
    assert counted["none"] >= 20


def test_every_controlled_trial_reaches_the_page():
    """Of a trial one outcome and the last month of each result; none is left out."""
    for technique in TECHNIQUES:
        for trial in load_controlled_trials(technique):
            for indication in trial.indications:
                facts = {"indication": indication, **({"approach": trial.approach} if trial.approach else {})}
                [item] = [one for one in plan(facts).techniques if one.technique == technique]
                told = {(one.source, one.result) for one in list_told(item.trials)}
                assert not item.records or (trial.source, trial.result) in told


def test_what_was_done_instead_has_words():
    arms = [arm for item in load_comparisons() for arm in (item.first, item.second) if not arm.technique]
    assert {arm.what for arm in arms} <= {*WORDS.get("compared", "others")}
    outcomes = {trial.outcome for technique in TECHNIQUES for trial in load_controlled_trials(technique)}
    assert outcomes <= {*WORDS.get("compared", "outcomes")}
    for phrases in WORDS.get("compared", "outcomes").values():
        assert {*phrases} == {*RESULTS}


def test_a_rate_stands_under_the_approach_of_its_patients(pages):
    blocks = find_article(pages["lumbar_radicular_disc"], "epidural_steroid_injection")
    [vessel] = [text for text in blocks if text.startswith(WORDS.get("complications", "intravascular_injection"))]
    for approach, number in (("transforaminal", "About 8 of"), ("interlaminar", "Less than 1"), ("caudal", "About 3")):
        assert f"Done {WORDS.get('approaches', approach)}: {number}" in vessel
    [alike] = [text for text in blocks if text.startswith(WORDS.get("complications", "adrenal_suppression"))]
    assert "Done " not in alike
    [alone] = [text for text in blocks if text.startswith(WORDS.get("complications", "neurological_catastrophe"))]
    assert f"Done {WORDS.get('approaches', 'transforaminal')}: " in alone


def test_every_rate_says_by_when_or_that_no_time_is_told(pages, plans):
    found = {"within": 0, "no_time": 0}
    for name, made in plans.items():
        for item in made.techniques:
            if item.group not in ("indicated", "not assessed"):
                continue
            text = " ".join(find_article(pages[name], item.technique))
            for key in found:
                found[key] += text.count(start_of("harms", key))
            told = {harm.figure.month for harm in item.harms if harm.figure.value is not None}
            assert (start_of("harms", "within") in text) == any(told)
            assert (start_of("harms", "no_time") in text) == (None in told)
    assert min(found.values()) > 5


def test_a_wire_that_moves_during_the_test_is_told_by_wire(pages):
    blocks = find_article(pages["after surgery"], "spinal_cord_stimulation")
    [text] = [text for text in blocks if text.startswith(WORDS.get("complications", "trial_lead_migration"))]
    assert f"50 of 100 {WORDS.get('harms', 'of', 'lead')}" in text
    assert "50 of 100 people" not in text


@pytest.mark.parametrize(
    ("counted_in", "expected"),
    [
        ((), None),
        (("several_kinds_of_pain",), ("several",)),
        (("lumbar_stenosis",), ("other_pain",)),
        (("epidural_steroid_injection", "transforaminal"), ("other_procedure",)),
    ],
)
def test_a_rate_of_other_people_says_so(counted_in, expected):
    figure = publish("x", "share", (), "FOUND", value=0.2, n=50, month=3.0)
    harm = Harm(event="x", kind="infection", severity="serious", figure=figure, counted_in=counted_in)
    [(name, [text])] = write_harms([harm], WORDS)["serious"]
    assert name == WORDS.get("complications", "infection")
    starts = [name for name in ("several", "other_pain", "other_procedure") if start_of("harms", name) in text]
    longest = max(starts, key=lambda name: len(start_of("harms", name)), default=None)
    assert ((longest,) if longest else None) == expected
    assert "3 months" in text


def test_no_test_is_said_to_come_first_where_a_question_is_asked(pages):
    blocks = find_article(pages["cancer"], "celiac_plexus_neurolysis")
    assert WORDS.get("steps", "history", "todo") in blocks
    assert WORDS.get("steps", "block", "todo") not in blocks
    assert WORDS.get("steps", "trial", "todo") in find_article(pages["after surgery"], "spinal_cord_stimulation")


def test_a_missing_fact_stands_under_the_way_it_is_found_out(pages):
    assert {*WAYS} == {*WORDS.get("ways")}
    assert set(STEPS.values()) == {*WORDS.get("steps")}
    named = [name for columns in WAYS.values() for name in columns]
    assert len(named) == len({*named})
    assert {*named} <= {*EPISODES}
    assert {name: find_way(name) for name in ("pregnant", "inr", "scoliosis", "stimulation_trial_success")} == {
        "pregnant": "question",
        "inr": "blood",
        "scoliosis": "picture",
        "stimulation_trial_success": "trial",
    }
    page = pages["disc"]
    blood = page.index(f"<h3>{WORDS.get('ways', 'blood')}</h3>")
    assert page.index(f"<li>{WORDS.get('columns', 'inr')}</li>") > blood


def test_failed_back_surgery_is_not_asked_for_surgery(pages):
    page = pages["failed_back_surgery"]
    assert WORDS.get("rules", "altered_anatomy", "fact") not in page
    assert f"<li>{WORDS.get('columns', 'prior_spine_surgery')}</li>" not in page
    assert WORDS.get("rules", "altered_anatomy", "reason") in page


def test_sources_are_those_of_what_the_page_tells(plans):
    made = plans["disc"]
    [sources] = re.findall(r'<ol lang="en" dir="ltr">(.*?)</ol>', write_plan_page(made), re.DOTALL)
    shown = sources.count("<li>")
    assert 10 < shown < len(made.sources)
    for item in made.techniques:
        if item.group == "indicated":
            assert all(made.sources[trial.source].citation.split(".")[0][:20] in sources for trial in item.trials)
