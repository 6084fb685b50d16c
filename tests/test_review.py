"""What a reviewer gets of a training on real patients: report, card and checklists, and nothing of any patient."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from quick_training import PLAIN, make_quick_settings

from paincast.cli.app import run
from paincast.cli.hydra_app import read_gate
from paincast.cohort.tables import Cohort, save_cohort
from paincast.errors import DataError, SettingsError
from paincast.gates import gate
from paincast.gates.use import CONTENT
from paincast.predictor.validation import VALIDATIONS, Validation, format_tag
from paincast.reporting.model.card import LONGEST_CARD, write_model_card
from paincast.reporting.model.checklist import CHECKLISTS, fill_checklists, load_checklist, name_item
from paincast.reporting.model.limits import BASIS_LIMITS, list_limits
from paincast.reporting.model.overview import write_overview
from paincast.reporting.model.report import write_report
from paincast.reporting.model.run_contents import RunContents, read_run_folder
from paincast.schema import TABLES
from paincast.serving.predict import load_model
from paincast.settings import (
    CARD_ITEMS,
    CohortSettings,
    EvaluationSettings,
    GateSettings,
    OutcomeSettings,
    TrackingSettings,
    TrainingSettings,
)
from paincast.simulator import simulate_cohort
from paincast.tracking import Store, fetch_runs, resolve_store, use_store
from paincast.tracking.gate_evidence import gather_gate_evidence
from paincast.tracking.served.example import INVENTED
from paincast.training import train

pytestmark = pytest.mark.slow

LARGEST_REPORT = 3_000_000
STATEMENTS = {"tripod_17": "Approved by the board of the tests, 2026/1."}
PROBAST = {"d": {1: 3, 2: 4, 3: 4, 4: 5}, "e": {1: 3, 2: 4, 3: 4, 4: 7}}
"""Signalling questions by domain of development and evaluation, 16 and 18, as published."""

TECHNIQUES = ["facet_rfa", "si_joint_rfa"]


def make_real_cohort() -> Cohort:
    """Make patients called real, whose ids and values can be recognized wherever they turn up."""
    cohort, _ = simulate_cohort(techniques=TECHNIQUES, episodes_per_technique=120, seed=11)
    rng = np.random.default_rng(4)
    episodes = cohort.episodes.copy()
    for name in ("patient_id", "site_id"):
        episodes[name] = ("SENTINEL-" + episodes[name].astype(str)).astype(episodes[name].dtype)
    renamed = {old: f"SENTINEL-{old}" for old in episodes["episode_id"]}
    tables = {}
    for name, table in (("episodes", episodes), ("visits", cohort.visits), ("events", cohort.events)):
        ids = table["episode_id"].map(renamed).astype(table["episode_id"].dtype)
        tables[name] = table.assign(episode_id=ids)
        for column in list_numbers(name, table):
            exact = table[column] + rng.uniform(0.01, 0.04, len(table))
            tables[name][column] = exact.clip(upper=table[column].max()).astype(table[column].dtype)
    payers = np.where(episodes.index % 60 == 0, "self_pay", "public")
    tables["episodes"]["payer"] = pd.Series(payers).astype("str")
    return replace(cohort, **tables, basis="real", sources=("Registry of the tests, 2024",))


def list_numbers(name: str, table: pd.DataFrame) -> list[str]:
    """Name the measurements of a table; a month is when somebody was asked, the same for many."""
    declared = TABLES[name]
    return [column for column in table if declared[column].type == "number" and column != "month"]


def list_secrets(cohort: Cohort) -> set[bytes]:
    """List ids, and every measurement that is written with enough digits to be somebody's."""
    secrets = {b"SENTINEL"}
    for name in ("episodes", "visits", "events"):
        table = getattr(cohort, name)
        for column in list_numbers(name, table):
            told = map(repr, table[column].dropna().astype(float).tolist())
            secrets |= {value.lstrip("-").encode() for value in told if len(value) > 8}
    return secrets


def find_leaks(store: Store, secrets: set[bytes]) -> list[tuple[str, bytes]]:
    """Scan every artifact of a store, and its database, for what is a patient's."""
    files = [path for path in Path(store.artifacts).rglob("*") if path.is_file()]
    found = []
    for path in [*files, store.database]:
        # A secret is a run of digits, or an id; each run of a file is looked up once.
        content = path.read_bytes()
        held = set(re.findall(rb"\d+\.\d+", content)) & secrets
        held |= {b"SENTINEL"} if b"SENTINEL" in content else set()
        found += [(path.name, secret) for secret in held]
    return found


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return make_real_cohort()


@pytest.fixture(scope="module")
def store(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("review")
    save_cohort(cohort, folder / "cohort")
    tracking = TrackingSettings(uri=f"sqlite:///{folder}/mlflow.db", artifacts=str(folder / "artifacts"))
    train(
        make_quick_settings(
            folder,
            cohort=CohortSettings(source="folder", path=str(folder / "cohort")),
            techniques=[],
            model=replace(PLAIN, prior=False, splines=True, lasso_penalties=[]),
            tracking=tracking,
            statements=STATEMENTS,
        )
    )
    return resolve_store(tracking)


@pytest.fixture(scope="module")
def facts(store, tmp_path_factory) -> RunContents:
    (one,) = fetch_runs(store, "paincast.facet_rfa.pain_response@candidate", tmp_path_factory.mktemp("fetched"))
    return read_run_folder(one.folder, one.tags, one.params)


@pytest.fixture(scope="module")
def page(facts) -> str:
    return write_report(facts)


class Outline(HTMLParser):
    """Headings, pictures and whatever would be fetched."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.pictures: list[dict[str, str]] = []
        self.fetched: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.pictures.append(given)
        addresses = [given.get(name, "") for name in ("src", "href", "srcset", "action", "data")]
        self.fetched += [tag] if tag in ("script", "link", "iframe", "object") else []
        self.fetched += [address for address in addresses if address and not address.startswith(("#", "data:"))]


def test_the_report_needs_no_network_and_is_small(page):
    assert Outline(page).fetched == []
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)
    assert len(page.encode()) < LARGEST_REPORT


def test_headings_are_in_order_and_every_picture_has_words(page):
    outline = Outline(page)
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
    assert len(outline.pictures) >= 8
    assert all(len(picture["alt"]) > 10 for picture in outline.pictures)
    assert page.count("<figcaption>") == len(outline.pictures)


def test_the_verdict_comes_first_and_the_limits_are_those_of_the_basis(page, facts):
    first = ["verdict", "external", "calibration", "validation", "benefit", "uncertainty"]
    order = [*first, "explanation", "subgroups", "data", "limits", "checklists"]
    assert re.findall(r'<section id="(\w+)">', page) == order
    assert "Refused by the gate &#39;default&#39;" in page
    assert page.index("Sample size") < page.index("intervals of at least")
    assert BASIS_LIMITS["real"][1] in page
    assert not set(BASIS_LIMITS["synthetic"]) & set(list_limits(facts))


@pytest.mark.parametrize("basis", BASIS_LIMITS)
def test_every_basis_has_limits_of_its_own(basis, facts):
    said = list_limits(replace(facts, tags={**facts.tags, "basis": basis}))
    assert said[: len(BASIS_LIMITS[basis])] == list(BASIS_LIMITS[basis])


def test_what_conflicts_with_published_directions_is_named(facts, page):
    assert re.search(r"that agree with published evidence: \d+", page)
    turned = facts.tables["importance"].assign(verdict="conflicts").head(1)
    assert "that conflict with it: positive blocks;" in write_report(
        replace(facts, tables={**facts.tables, "importance": turned.assign(variable="diagnostic_blocks_positive")})
    )


def test_the_card_is_the_description_of_the_version_and_fits_it(store, facts):
    client = MlflowClient(tracking_uri=store.uri)
    version = client.get_model_version_by_alias("paincast.facet_rfa.pain_response", "candidate")
    card = write_model_card(facts)
    assert version.description == card
    assert len(card) <= LONGEST_CARD
    assert "**Refused by the gate 'default'" in card
    assert "tripod_18a" in card
    assert "REAL evidence" in card
    long = replace(facts, tables={**facts.tables, "provenance": make_facts(sources="a source of words " * 600)})
    assert len(write_model_card(long)) <= LONGEST_CARD


@pytest.mark.parametrize(("n", "n_folded"), [(1, 0), (2, 1), (131, 1)])
def test_sources_stand_once_in_a_report_and_many_are_folded(facts, n, n_folded):
    sources = [
        f"Author{number} A. Source of the tests; with a semicolon. J Tests 20{number:03d}" for number in range(n)
    ]
    kept = facts.tables["provenance"].query("fact != 'sources'")
    tables = {**facts.tables, "provenance": pd.concat([kept, make_facts(sources="\n".join(sources))])}
    many = replace(facts, tables=tables)
    refilled = fill_checklists(many, {}, {})
    html = write_report(replace(many, tables={**tables, "checklist": refilled}))
    before = write_report(facts)
    assert html.count("<details>") - before.count("<details>") == n_folded
    if n > 1:
        assert re.search(rf"<summary>Sources \({n}\)</summary><ol>\s*<li>Author0 A\.", html)
        assert all(html.count(source) == 1 for source in sources)
        told = refilled.set_index("item").loc[["tripod_5a", "probast_d1_1", "probast_e1_1"], "says"]
        assert told.str.contains(f"{n} sources").all()


def test_hostile_names_of_a_registry_are_escaped(facts):
    hostile = "<script>alert(1)</script>"
    sites = facts.tables["sites"].assign(level=hostile + facts.tables["sites"]["level"].astype(str))
    sources = make_facts(sources=hostile, question=hostile)
    html = write_report(replace(facts, tables={**facts.tables, "sites": sites, "provenance": sources}))
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > sites["level"].nunique()


def test_a_card_names_groups_that_are_too_small_beside_those_that_are_told(facts):
    ratios = facts.tables["subgroups"].query("metric == 'o_e_ratio'")
    lone = ratios.assign(estimate=[1.22] + [np.nan] * (len(ratios) - 1))
    card = write_model_card(replace(facts, tables={**facts.tables, "subgroups": lone}))
    assert f"in 1 of {len(ratios)} subgroups: 1.22" in card
    assert f"{len(ratios) - 1} more are too small" in card


def test_a_report_promises_no_sweep_over_those_lost_where_there_is_none(facts, page):
    assert "those lost to follow-up would have to differ" in page
    pictures = {name: drawn for name, drawn in facts.pictures.items() if name != "uncertainty/tipping_point"}
    html = write_report(replace(facts, pictures=pictures))
    assert "those lost to follow-up would have to differ" not in html
    assert "how far predictions would move" in html


def make_facts(**facts: str) -> pd.DataFrame:
    return pd.DataFrame({"fact": list(facts), "value": list(facts.values())})


def test_the_checklists_have_a_row_for_each_item_and_show_what_is_missing(facts):
    table = facts.tables["checklist"].set_index("item")
    expected = [name_item(name, one["item"]) for name in CHECKLISTS for one in load_checklist(name)["items"]]
    assert table.index.tolist() == expected
    numbers = {int(re.match(r"\d+", item.removeprefix("tripod_"))[0]) for item in expected if "tripod" in item}
    assert numbers == set(range(1, 28))
    domains = pd.Series([item[:10] for item in expected if "probast" in item]).value_counts(sort=False).to_dict()
    assert domains == {f"probast_{part}{place}": n for part, sizes in PROBAST.items() for place, n in sizes.items()}
    assert table.loc["tripod_17", ["status", "says"]].tolist() == ["filled", STATEMENTS["tripod_17"]]
    assert table.loc["tripod_18a", "status"] == "missing"
    assert "statements.tripod_18a" in table.loc["tripod_18a", "says"]
    assert table.loc["tripod_20a", "evidence"] == "tables/flow.csv"
    assert table.loc["probast_d4_5", "says"].endswith("; missing: optimism over resamples of the whole modelling")
    assert table.loc["tripod_12c", "says"].endswith("; missing: optimism by bootstrap of the whole modelling")
    filled = table[table["status"] == "filled"]
    assert not filled["says"].str.contains("unknown|{").any()


def test_an_item_whose_table_is_gone_is_missing_and_one_of_a_number_does_not_apply(facts):
    tables = {name: table for name, table in facts.tables.items() if name != "flow"}
    without = fill_checklists(replace(facts, tables=tables), {}, facts.pictures).set_index("item")
    assert without.loc["tripod_20a", ["status", "says"]].tolist() == [
        "missing",
        "the run lacks tables/flow.csv",
    ]
    number = replace(facts, tables={**facts.tables, "provenance": make_facts(kind="continuous")})
    assert fill_checklists(number, {}, ()).set_index("item").loc["probast_e4_7", "status"] == "does not apply"


def test_simulated_patients_fill_no_item_that_needs_patients(facts):
    simulated = replace(facts, tags={**facts.tags, "basis": "synthetic"})
    table = fill_checklists(simulated, STATEMENTS, facts.pictures).set_index("item")
    assert set(table.loc[["tripod_5a", "tripod_20b", "tripod_23a", "probast_d1_1"], "status"]) == {"missing"}
    assert "simulated" in table.loc["tripod_5a", "says"]
    assert set(table.loc[read_gate("research").card_items, "status"]) == {"filled"}


def test_what_the_shipped_gates_ask_for_is_filled_by_a_run(facts):
    table = facts.tables["checklist"].set_index("item")
    assert set(table.loc[list(CARD_ITEMS), "status"]) == {"filled"}
    found = facts.tables["verdict_default"].set_index("criterion").loc["model_card"]
    assert found["status"] == "passed"
    assert CARD_ITEMS[0] in found["required"]


@pytest.mark.parametrize(("item", "met"), [("tripod_17", True), ("tripod_20a", True), ("tripod_18a", False)])
def test_a_gate_asks_for_items_of_the_checklists(facts, item, met):
    tags = facts.tags
    evidence = gather_gate_evidence(tags["outcome"], tags["basis"], tags["n_real"], facts.params, facts.tables)
    found = {one.criterion: one for one in gate(evidence, GateSettings(card_items=[item])).findings}["model_card"]
    assert (found.status, item in found.reason) == (("passed", False) if met else ("missing", True))


def test_a_statement_on_no_item_is_refused():
    with pytest.raises(SettingsError, match=r"statements: unknown item 'tripod_17b'; did you mean 'tripod_17'"):
        train(TrainingSettings(statements={"tripod_17b": "x"}))


def test_every_pointer_of_a_filled_item_leads_somewhere(store, facts):
    client = MlflowClient(tracking_uri=store.uri)
    (run_id,) = {
        version.run_id for version in client.search_model_versions("name = 'paincast.facet_rfa.pain_response'")
    }
    held = {
        file.path
        for folder in ("tables", *(entry.path for entry in client.list_artifacts(run_id, "figures")))
        for file in client.list_artifacts(run_id, folder)
    }
    pointers = "; ".join(facts.tables["checklist"]["evidence"]).split("; ")
    files = {pointer.partition(":")[0] for pointer in pointers if pointer.endswith((".csv", ".png"))}
    assert len(files) > 10
    assert files <= held


def test_no_patient_leaves_for_mlflow(store, cohort):
    secrets = list_secrets(cohort)
    names = {path.name for path in Path(store.artifacts).rglob("*")}
    assert {"report.html", "overview.html", "characteristics.csv", "model_card.md"} <= names
    assert len(secrets) > 3000
    assert find_leaks(store, secrets) == []
    assert not {name for name in names if name.endswith((".pkl", ".parquet"))}
    examples = [json.loads(path.read_bytes()) for path in Path(store.artifacts).rglob("input_example.json")]
    assert examples
    assert all(patient["episode_id"].startswith(INVENTED) for example in examples for patient in example)


def test_the_scan_finds_what_it_looks_for(cohort, tmp_path):
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "artifacts"), "paincast")
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "mlflow.db").touch()
    cohort.visits.iloc[[3]].to_csv(tmp_path / "artifacts" / "visits.csv")
    (tmp_path / "artifacts" / "age.html").write_text(f"<td>{cohort.episodes['age_years'].iloc[7]!r}</td>")
    found = find_leaks(store, list_secrets(cohort))
    assert {name for name, _ in found} == {"visits.csv", "age.html"}
    assert ("visits.csv", b"SENTINEL") in found


@pytest.mark.parametrize("outcome", ["pain_change", "relief_duration"])
def test_no_patient_of_a_number_or_a_time_leaves_for_mlflow(cohort, tmp_path, outcome):
    secrets = list_secrets(cohort)
    save_cohort(cohort.select_technique("facet_rfa"), tmp_path / "cohort")
    tracking = TrackingSettings(uri=f"sqlite:///{tmp_path}/mlflow.db", artifacts=str(tmp_path / "artifacts"))
    train(
        TrainingSettings(
            cohort=CohortSettings(source="folder", path=str(tmp_path / "cohort")),
            outcome=OutcomeSettings(name=outcome),
            evaluation=EvaluationSettings(folds=2, resamples=50),
            tracking=tracking,
            models_folder=str(tmp_path / "models"),
            jobs=1,
            progress=False,
        )
    )
    assert find_leaks(resolve_store(tracking), secrets) == []


def test_no_table_holds_what_was_predicted_for_a_patient(store, cohort, facts):
    with use_store(store):
        model = load_model("models:/paincast.facet_rfa.pain_response@candidate")
    rows = model.predict(cohort.select_technique("facet_rfa").episodes)
    served = rows[["probability", "lower", "upper"]].to_numpy(float)
    served = np.unique(served[np.isfinite(served)].round(9))
    assert len(served) > 200
    held = {
        f"{name}: {column}": int(np.isin(table[column].dropna().to_numpy(float).round(9), served).sum())
        for name, table in facts.tables.items()
        for column in table.select_dtypes("number")
    }
    assert {place: n for place, n in held.items() if n} == {}


def test_no_cell_tells_of_fewer_than_five(facts):
    payers = facts.tables["subgroups"].query("attribute == 'payer'")
    assert payers["n"].isna().all()
    counts = [
        facts.tables[table][column]
        for table, column in (
            *((name, count) for name in ("subgroups", "sites", "years") for count in ("n", "n_patients", "n_events")),
            ("flow", "n"),
            ("characteristics", "n"),
            ("calibration_curve", "n"),
        )
    ]
    shown = pd.concat(counts).dropna()
    assert shown[(shown > 0) & (shown < 5)].empty


def test_the_command_writes_one_model_or_a_whole_training(store, tmp_path, page):
    name = "paincast.facet_rfa.pain_response@candidate"
    assert run(["report", name, "-o", str(tmp_path / "one"), "--tracking-uri", store.uri]) == 0
    assert (tmp_path / "one" / "report.html").read_text(encoding="utf-8") == page
    assert (tmp_path / "one" / "model_card.md").is_file()
    client = MlflowClient(tracking_uri=store.uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    (parent,) = client.search_runs(experiments, "tags.kind = 'training'")
    assert run(["report", parent.info.run_id, "-o", str(tmp_path / "all"), "--tracking-uri", store.uri]) == 0
    overview = (tmp_path / "all" / "overview.html").read_text(encoding="utf-8")
    assert len(Outline(overview).pictures) == len(TECHNIQUES)
    assert Outline(overview).fetched == []
    assert sorted(path.parent.parent.name for path in (tmp_path / "all").rglob("report.html")) == TECHNIQUES
    held = client.download_artifacts(parent.info.run_id, "report/overview.html", str(tmp_path))
    assert Path(held).read_text(encoding="utf-8") == overview


def test_all_that_other_patients_said_is_listed_the_worst_first(store, tmp_path):
    name = "paincast.facet_rfa.pain_response"
    good = Validation(cohort="near_hospital", content="a", n=200, o_e=1.0, lower=0.9, upper=1.1, contradicts=False)
    bad = replace(good, cohort="far_hospital", content="b", o_e=0.2, lower=0.1, upper=0.3, contradicts=True)
    client = MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
    (version,) = client.search_model_versions(f"name='{name}'")
    (unjudged,) = fetch_runs(store, f"{name}@candidate", tmp_path / "before")
    content = unjudged.tags[CONTENT]
    client.set_model_version_tag(name, version.version, VALIDATIONS, format_tag((good, bad), content))
    try:
        (judged,) = fetch_runs(store, f"{name}@candidate", tmp_path / "after")
    finally:
        client.delete_model_version_tag(name, version.version, VALIDATIONS)
    for tracked, told in ((unjudged, False), (judged, True)):
        contents = read_run_folder(tracked.folder, tracked.tags, tracked.params)
        for text in (write_report(contents), write_model_card(contents), write_overview([contents])):
            assert ("contradicted by data" in text) == told
            assert not told or 0 < text.index("far_hospital") < text.index("near_hospital")


def test_a_run_without_a_model_is_refused_in_words(store, tmp_path):
    client = MlflowClient(tracking_uri=store.uri)
    experiment = client.get_experiment_by_name("paincast")
    empty = client.create_run(experiment.experiment_id).info.run_id
    with pytest.raises(DataError, match="holds no model that was recorded"):
        fetch_runs(store, empty, tmp_path)
