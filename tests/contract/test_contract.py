"""The contract is read strictly, travels as text, and redefines nothing that is built in."""

from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path

import pytest

from paincast.contract import BUILT_IN, CONTRACT_SCHEMA, find_contract, load_contract, restore_contract
from paincast.errors import DataError, SettingsError
from paincast.schema import EPISODES, TECHNIQUES, VISITS
from paincast.schema.instruments import INSTRUMENTS

ROOT = Path(__file__).resolve().parents[2]

CONTRACT = """
contract: 1
name: spine clinic

instruments:
  comi: {from: library, responder: {absolute: 2.2, source: "Mannion 2009, 10.1007/s00586-009-0942-8"}}
  zcq_function:
    title: Zurich Claudication Questionnaire, physical function
    range: [1, 4]
    direction: higher is worse
    responder: {absolute: 0.5, source: "Stucki 1996, 10.1097/00007632-199604010-00004"}
  walking_index:
    title: Walking index
    range: [0, 10]
    direction: higher is better
    responder: {relative: 0.2, because: usual in the clinic}

predictors:
  pain_self_efficacy: {instrument: pseq, known: before}
  crp_mg_l: {type: number, unit: mg/L, range: [0, 500], known: before, skewed: true, label: CRP}
  modic_type: {type: category, values: [none, i, ii, iii], known: before}
  operating_minutes: {type: number, unit: min, range: [1, 600], known: during}
  blood_group: {type: category, values: [a, b, ab, zero], known: before, role: sensitive}

techniques:
  intradiscal_prp: {title: Platelet-rich plasma into the disc, codes: {cpt: ["0232T"]}, evidence: none, month: 6}
  cooled_facet_rfa: {title: Cooled ablation of facet nerves, like: facet_rfa}

indications:
  discogenic_pain: {title: Discogenic low back pain, icd10: [M51.26]}

outcomes:
  function_response:
    any_of: [odi, womac, comi, zcq_function]
    answered_by: first listed that has baseline and follow-up
  walking_improved:
    from: zcq_function
    responder: {relative: 0.30}
    at_month: 6
    window: [3, 9]
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "contract.yaml"
    file.write_text(CONTRACT)
    return file


def test_what_is_declared_stands_beside_what_is_built_in(path):
    contract = load_contract(path)
    assert contract.techniques == (*TECHNIQUES, "intradiscal_prp", "cooled_facet_rfa")
    assert contract.indications[-1] == "discogenic_pain"
    assert contract.episodes["technique"].categories[-2:] == ("intradiscal_prp", "cooled_facet_rfa")
    assert contract.episodes["indication"].categories[-1] == "discogenic_pain"
    assert list(contract.episodes)[: len(EPISODES)] == list(EPISODES)
    assert {*VISITS, "zcq_function", "walking_index"} == {*contract.visits}
    assert contract.visits["zcq_function"].role == "outcome"
    assert (contract.find_evidence("intradiscal_prp"), contract.find_evidence("cooled_facet_rfa")) == ("", "facet_rfa")
    assert contract.find_evidence("si_joint_rfa") == "si_joint_rfa"


def test_role_and_timing_decide_whether_a_model_may_see_a_column(path):
    contract = load_contract(path)
    own = {column.name for column in contract.model_columns} - {*EPISODES}
    assert own == {"zcq_function", "walking_index", "pain_self_efficacy", "crp_mg_l", "modic_type"}
    assert contract.episodes["operating_minutes"].timing == "during"
    assert contract.episodes["crp_mg_l"].log_scale
    assert contract.label("crp_mg_l") == "CRP"
    pseq = INSTRUMENTS["pseq"]
    assert (contract.episodes["pain_self_efficacy"].low, contract.episodes["pain_self_efficacy"].high) == (
        pseq.low,
        pseq.high,
    )


def test_an_outcome_of_ones_own_follows_the_direction_of_its_instrument(path):
    outcome = load_contract(path).outcomes["walking_improved"]
    [line] = outcome.lines
    assert (line.measure, line.direction, line.points, line.share) == ("zcq_function", "fall", None, 0.3)
    assert (outcome.horizon_months, outcome.follow_up_months, outcome.kind) == (6.0, (3.0, 9.0), "binary")


def test_instruments_are_added_to_a_built_in_outcome_and_its_own_rules_stay(path):
    lines = {line.measure: line for line in load_contract(path).outcomes["function_response"].lines}
    built_in = {line.measure: line for line in BUILT_IN.outcomes["function_response"].lines}
    assert list(lines) == ["odi", "womac", "comi", "zcq_function"]
    assert (lines["odi"], lines["womac"]) == (built_in["odi"], built_in["womac"])
    assert (lines["comi"].points, lines["comi"].share) == (2.2, None)


def test_a_contract_travels_as_text_and_comes_back_the_same(path):
    contract = load_contract(path)
    restored = restore_contract(contract.declared)
    assert restored == contract
    assert restored.digest == contract.digest
    assert restored.episodes == contract.episodes
    assert restored.outcomes == contract.outcomes
    assert pickle.loads(pickle.dumps(contract)) == contract
    assert copy.deepcopy(contract) == contract


def test_spelling_and_comments_do_not_change_the_digest_and_content_does(path):
    digest = load_contract(path).digest
    path.write_text("# another comment\n" + CONTRACT.replace("name: spine clinic", 'name: "spine   clinic"'))
    assert load_contract(path).digest == digest
    path.write_text(CONTRACT.replace("[0, 500]", "[0, 400]"))
    assert load_contract(path).digest != digest


def test_the_built_in_contract_has_no_digest_and_is_one_object():
    assert BUILT_IN.digest == ""
    assert restore_contract("") is BUILT_IN
    assert copy.deepcopy(BUILT_IN) is BUILT_IN
    assert pickle.loads(pickle.dumps(BUILT_IN)) is BUILT_IN


def test_the_contract_lies_beside_the_mapping(path, tmp_path):
    assert find_contract(tmp_path / "mapping.yaml") == load_contract(path)
    assert find_contract(tmp_path / "elsewhere" / "mapping.yaml") is BUILT_IN


WRONG = {
    "a misspelt key": ("skewed: true", "skewd: true"),
    "a built-in column": ("crp_mg_l:", "bmi:"),
    "a built-in column of the visits": ("crp_mg_l:", "pgic:"),
    "a built-in technique": ("intradiscal_prp:", "facet_rfa:"),
    "a comparator": ("intradiscal_prp:", "surgery:"),
    "a built-in indication": ("discogenic_pain:", "crps:"),
    "a built-in outcome": ("walking_improved:", "pain_response:"),
    "an own instrument as predictor": ("crp_mg_l:", "zcq_function:"),
    "no timing": ("range: [0, 500], known: before", "range: [0, 500]"),
    "an unknown timing": ("known: during", "known: later"),
    "a result as predictor": ("known: during}", "known: during, role: predictor}"),
    "no range": ("range: [0, 500], ", ""),
    "a range upside down": ("[0, 500]", "[500, 0]"),
    "a range of one": ("[0, 500]", "[500]"),
    "a range of words": ("[0, 500]", "[low, high]"),
    "a skewed number below 0": ("[0, 500]", "[-1, 500]"),
    "one value": ("[none, i, ii, iii]", "[none]"),
    "a value twice": ("[none, i, ii, iii]", "[none, i, I]"),
    "a unit of a category": ("values: [none", "unit: mm, values: [none"),
    "type beside instrument": ("{instrument: pseq", "{type: number, instrument: pseq"),
    "an unknown instrument": ("{instrument: pseq", "{instrument: pseqq"),
    "a name in capitals": ("modic_type:", "Modic:"),
    "a name with a blank": ("modic_type:", "modic type:"),
    "an unknown version": ("contract: 1", "contract: 2"),
    "an unknown prior": ("like: facet_rfa", "like: facet_rf"),
    "evidence that is none": ("evidence: none", "evidence: mine"),
    "an instrument that the library holds": ("comi: {from: library,", "comi: {title: COMI, range: [0, 10],"),
    "an instrument that the library does not hold": ("comi: {from: library,", "comy: {from: library,"),
    "a threshold without a reason": (
        '{absolute: 2.2, source: "Mannion 2009, 10.1007/s00586-009-0942-8"}',
        "{absolute: 3}",
    ),
    "no direction": ("direction: higher is worse", "unit: points"),
    "a share above 1": ("relative: 0.30", "relative: 30"),
    "an empty responder": ("{relative: 0.30}", "{source: nobody}"),
    "an outcome without instrument": ("from: zcq_function", "title: x"),
    "an outcome of a predictor": ("from: zcq_function", "from: crp_mg_l"),
    "a window without its month": ("window: [3, 9]", "window: [7, 9]"),
    "an instrument that cannot answer": ("any_of: [odi, ", "any_of: [odi, nothing, "),
    "a title of a built-in outcome": ("    answered_by:", "    title: mine\n    answered_by:"),
    "a value that stands for none": ("[none, i, ii, iii]", "[none, missing, i]"),
    "a threshold out of range": ("{absolute: 0.5, source", "{absolute: 5, source"),
    "whole numbers between halves": ("type: number, unit: min, range: [1, 600]", "type: integer, range: [0.5, 600]"),
    "TODO": ("title: Discogenic low back pain", "title: TODO"),
    "a list for a block": ("indications:\n  discogenic_pain: {title", "indications:\n  - discogenic_pain: {title"),
}


@pytest.mark.parametrize(("old", "new"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_an_error_with_its_place(path, old, new):
    assert old in CONTRACT
    path.write_text(CONTRACT.replace(old, new, 1))
    with pytest.raises(SettingsError, match=r"contract\.yaml") as raised:
        load_contract(path)
    assert raised.value.code.startswith("PC-")


def test_a_damaged_stored_contract_is_an_error_of_the_data():
    with pytest.raises(DataError) as raised:
        restore_contract('{"contract": "1"}')
    assert raised.value.code == "PC-CONTRACT-01"


def test_the_page_declares_a_contract_that_loads(tmp_path):
    page = (ROOT / "docs" / "contract.md").read_text()
    [example] = re.findall(r"^```yaml\n(contract: 1\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "contract.yaml").write_text(example)
    contract = load_contract(tmp_path / "contract.yaml")
    assert contract.own_techniques
    assert "walking_improved" in contract.outcomes


def test_the_published_schema_is_that_of_the_reader():
    published = json.loads((ROOT / "docs" / "contract.schema.json").read_text())
    assert published == CONTRACT_SCHEMA
