"""The audit ranks figures by how much they move what is simulated, and tells what they stand on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.special import expit

from paincast.cli.app import run
from paincast.evidence.context import Standing
from paincast.evidence.figures import Baseline, Record
from paincast.evidence.records import (
    _load_computed,
    build_records,
    load_audit,
    load_record,
    load_records,
    simulated_techniques,
)
from paincast.evidence.synthesis.audit import (
    BAR,
    COLUMNS,
    FOUND_WIDTH,
    MINIMUM_WIDTHS,
    audit_figures,
    find_standing,
    summarise_audit,
)
from paincast.evidence.synthesis.odds import measure_width, share_true
from paincast.evidence.synthesis.quantities import QUANTITIES, compute_quantities, find_primary_point, list_effects
from paincast.reporting.evidence.influence import describe_standing

FACET = load_record("facet_rfa")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return audit_figures()


@pytest.fixture(scope="module")
def facet(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["technique"] == "facet_rfa"].set_index("figure")


def _draw_spread(record: Record) -> float:
    """Draw independent columns, and compute the standard deviation of the probabilities of response."""
    random = np.random.default_rng(1)
    n = 100_000
    ranks = {effect.column: random.random(n) for effect in list_effects(record)}
    margin = np.zeros(n)
    for effect in list_effects(record):
        baseline, rank, kind = record.baseline[effect.column], ranks[effect.column], effect.transform.kind
        if kind in ("per", "per_sd"):
            unit = float(effect.transform.value) if kind == "per" else baseline.sd
            margin += effect.log_odds * _draw_numbers(baseline, random, n) / unit
        else:
            share = share_true(effect.transform, baseline)
            margin += effect.log_odds * (rank < share if kind == "below" else rank >= 1.0 - share)
    target = find_primary_point(record)[1].share
    level = brentq(lambda middle: expit(margin + middle).mean() - target, -10.0, 10.0, xtol=1e-6)
    return float(expit(margin + level).std())


def _draw_numbers(baseline: Baseline, random: np.random.Generator, n: int) -> np.ndarray:
    if baseline.shares:
        return random.choice(list(baseline.shares), n, p=list(baseline.shares.values()))
    assert baseline.mean is not None
    return random.normal(baseline.mean, baseline.sd, n)


def test_the_quantities_are_those_of_drawn_patients() -> None:
    mean, spread, benefit, complications = compute_quantities(FACET)
    month, point = find_primary_point(FACET)
    assert mean == point.share
    assert spread == pytest.approx(_draw_spread(FACET), rel=0.015)
    assert benefit == pytest.approx(point.share - FACET.untreated[month].share)
    rates = [item.patient_rate or 0.0 for item in FACET.counted_complications]
    assert complications == pytest.approx(1.0 - np.prod([1.0 - rate for rate in rates]))


def test_death_takes_from_the_benefit_and_a_waning_curve_does_no_harm() -> None:
    record = load_record("celiac_plexus_neurolysis")
    month, point = find_primary_point(record)
    assert record.survival
    ratio = compute_quantities(record)[2] / compute_quantities(replace(record, survival=None))[2]
    assert ratio == pytest.approx(0.5 ** (month / record.survival.median_months))
    better = record.untreated[month]._replace(share=point.share + 0.1)
    assert compute_quantities(replace(record, untreated={month: better}))[2] == 0.0


def test_shares_add_up_within_each_technique(table: pd.DataFrame) -> None:
    assert tuple(table.columns) == COLUMNS
    assert list(table["technique"].unique()) == list(simulated_techniques())
    total = table.groupby("technique")[["influence", *QUANTITIES]].sum()
    assert np.allclose(total[["influence", *BAR, "benefit"]], 1.0)
    assert total["complications"].round(9).isin([0.0, 1.0]).all()
    assert np.allclose(table["influence"], table[list(BAR)].mean(axis=1))
    for _, rows in table.groupby("technique"):
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
        assert rows["influence"].is_monotonic_decreasing


def test_the_mean_depends_on_the_curve_alone_and_complications_on_their_rates(table: pd.DataFrame) -> None:
    assert set(table.loc[table["mean_probability"] > 0, "kind"]) == {"response"}
    assert set(table.loc[table["complications"] > 0, "kind"]) == {"complication"}
    assert set(table.loc[table["benefit"] > 1e-9, "kind"]) == {"response", "untreated", "survival"}
    assert {"response", "effect", "share", "mean", "sd", "log_sd"} <= set(table.loc[table["spread"] > 0, "kind"])


def test_the_spread_of_a_single_predictor_is_shared_as_computed_by_hand() -> None:
    effect = next(item for item in FACET.predictors if item.column == "depression")
    baseline = {"depression": Baseline(source="cohen2022", tag="ASSUMED", share=0.3)}
    effect = replace(effect, log_odds=-0.6, sd=0.5, basis="judged", tag="ASSUMED")
    record = replace(FACET, predictors=(effect,), baseline=baseline, complications=())
    rows = audit_figures(records=[record]).set_index("kind")

    def spread(share: float, log_odds: float) -> float:
        target = find_primary_point(record)[1].share
        mass, places = np.array([1.0 - share, share]), np.array([0.0, log_odds])
        level = brentq(lambda middle: mass @ expit(places + middle) - target, -10.0, 10.0)
        return float(abs(np.diff(expit(places + level))[0])) * (share * (1.0 - share)) ** 0.5

    def variance(up: float, down: float) -> float:
        return ((up - down) / 2) ** 2 + (up + down - 2 * spread(0.3, -0.6)) ** 2 / 2

    odds = [expit(np.log(3 / 7) + sign * MINIMUM_WIDTHS["share"]) for sign in (1, -1)]
    by_effect = variance(spread(0.3, -0.1), spread(0.3, -1.1))
    by_share = variance(spread(odds[0], -0.6), spread(odds[1], -0.6))
    assert rows.loc["effect", "sd"] == 0.5
    assert rows.loc["share", "spread"] / rows.loc["effect", "spread"] == pytest.approx(by_share / by_effect, rel=0.02)


def test_a_predictor_around_no_effect_moves_the_spread() -> None:
    effect = next(item for item in FACET.predictors if item.column == "depression")
    moved = tuple(replace(item, log_odds=0.0) if item is effect else item for item in FACET.predictors)
    rows = audit_figures(records=[replace(FACET, predictors=moved)]).set_index("figure")
    assert rows.loc["log odds ratio of depression equals True", "spread"] > 0.01


def test_assumed_figures_are_at_least_as_wide_as_declared_and_found_ones_a_third(table: pd.DataFrame) -> None:
    records = {record.id: record for record in load_records()}
    unit = [_measure_unit(records[row["record"]], row["figure"], row["kind"]) for row in table.to_dict("records")]
    ratio = table["sd"] / (table["kind"].map(MINIMUM_WIDTHS) * np.array(unit))
    assumed, found = table["tag"] == "ASSUMED", table["tag"] == "FOUND"
    assert (ratio[assumed] >= 1.0 - 1e-9).all()
    assert (ratio >= FOUND_WIDTH - 1e-9).all()
    without_interval = table["kind"].isin(["mean", "sd", "median", "log_sd", "share"])
    assert np.allclose(ratio[without_interval & assumed], 1.0)
    assert np.allclose(ratio[without_interval & found], FOUND_WIDTH)


def _measure_unit(record: Record, figure: str, kind: str) -> float:
    name = figure.split(" of ")[-1]
    if kind == "mean":
        return float(record.baseline[name].sd)
    if kind == "median":
        return float(record.baseline[name].log_sd)
    if kind != "effect":
        return 1.0
    named = {f"{item.column} {item.transform.kind} {item.transform.value}": item for item in record.predictors}
    return abs(measure_width(named[name].transform, record.baseline[named[name].column]))


def test_wider_intervals_and_rules_show_in_the_table(facet: pd.DataFrame) -> None:
    point = find_primary_point(FACET)[1]
    ends = np.log(
        [point.predicted_lower / (1 - point.predicted_lower), point.predicted_upper / (1 - point.predicted_upper)]
    )
    assert facet.loc["response at month 6", "sd"] == pytest.approx((ends[1] - ends[0]) / 3.92, rel=1e-3)
    judged = next(item for item in FACET.predictors if item.basis == "judged" and item.column == "catastrophizing_pcs")
    assert facet.loc["log odds ratio of catastrophizing_pcs per_sd True", "sd"] == pytest.approx(judged.sd)
    assert facet.loc["untreated response at month 6", ["tag", "source"]].tolist() == ["ASSUMED", ""]


@pytest.mark.parametrize(
    ("kind", "tag", "standing"),
    [
        ("effect", "FOUND", (1.0, 0.0)),
        ("effect", "FOUND/ASSUMED", (0.5, 0.5)),
        ("effect", "ASSUMED", (0.0, 1.0)),
        ("response", "DERIVED", (1.0, 0.0)),
        ("response", "ASSUMED", (0.0, 1.0)),
        ("survival", "DERIVED", (0.0, 0.0)),
        ("complication", "SEED", (0.0, 0.0)),
    ],
)
def test_what_counts_as_standing_on_studies(kind: str, tag: str, standing: tuple[float, float]) -> None:
    assert find_standing(kind, tag) == standing


def test_tags_follow_what_studies_give(table: pd.DataFrame) -> None:
    rows = table.set_index(["record", "figure"])
    carried = rows.loc[("esi_interlaminar__lumbar_stenosis", "response at month 3")]
    assert (carried["tag"], carried["source"]) == ("ASSUMED", "")
    interpolated = rows.loc[("nerve_root_block__other_radicular", "response at month 1")]
    assert interpolated["tag"] == "DERIVED"
    assert interpolated["source"]
    mixed = {
        (record.id, column)
        for record in load_records()
        for column, baseline in record.baseline.items()
        if baseline.tag == "FOUND/ASSUMED" and (record.id, f"mean of {column}") in rows.index
    }
    assert mixed
    for record, column in mixed:
        assert rows.loc[(record, f"mean of {column}"), "tag"] == "FOUND"
        assert rows.loc[(record, f"sd of {column}"), "tag"] == "ASSUMED"


def test_the_summary_is_the_sum_of_the_table_and_that_of_the_file(table: pd.DataFrame) -> None:
    summary = summarise_audit(table).set_index("technique")
    rows = table[table["technique"] == "hypogastric_plexus_neurolysis"]
    assumed = rows["influence"] @ rows["tag"].map({"ASSUMED": 1.0, "FOUND/ASSUMED": 0.5}).fillna(0.0)
    assert summary.loc["hypogastric_plexus_neurolysis", "assumed"] == pytest.approx(assumed, abs=1e-3)
    assert set(load_audit()) == set(simulated_techniques())
    for technique, standing in load_audit().items():
        assert summary.loc[technique].tolist() == pytest.approx(list(standing), abs=1e-4)
        assert standing.meets_bar == (standing.found >= 0.6 and standing.assumed <= 0.25)


def test_records_do_not_depend_on_the_audit_of_the_file() -> None:
    without = {key: value for key, value in _load_computed().items() if key != "audit"}
    assert build_records(without) == load_records()


def test_the_bar_is_told() -> None:
    assert Standing(0.60, 0.25).meets_bar
    assert not Standing(0.59, 0.10).meets_bar
    assert not Standing(0.70, 0.26).meets_bar
    assert describe_standing(Standing(0.6, 0.2)) == "stands on studies: 60 %, assumed: 20 %"
    assert describe_standing(Standing(0.6, 0.4)).startswith("stands on studies: 60 %, assumed: 40 %; ")


def test_the_command_shows_the_top_and_writes_the_whole_table(capsys, tmp_path, facet: pd.DataFrame) -> None:
    assert run(["evidence", "facet_rfa", "--audit"]) == 0
    shown = capsys.readouterr().out
    assert facet.index[0] in shown
    assert "cohen2010" in shown
    assert "stands on studies: " in shown
    file = tmp_path / "audit.csv"
    assert run(["evidence", "facet_rfa", "--audit", "-o", str(file)]) == 0
    written = pd.read_csv(file)
    assert tuple(written.columns) == COLUMNS
    assert written["figure"].tolist() == facet.index.tolist()
    assert np.allclose(written["influence"], facet["influence"], atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        ["facet_rfa", "--audit", "--studies"],
        ["facet_rfa", "--audit", "--indication", "lumbar_facet"],
        ["bariatric_embolization", "--audit"],
        ["facet_rfaa", "--audit"],
    ],
)
def test_the_command_refuses_what_it_cannot_audit(arguments: list[str]) -> None:
    assert run(["evidence", *arguments]) == 2
