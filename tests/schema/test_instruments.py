"""The library of instruments: what holds of every entry, and the traps that its entries know."""

from __future__ import annotations

import re

import pytest

from paincast.schema import EPISODES, VISITS
from paincast.schema.instruments import INSTRUMENTS, Instrument, list_instruments

LIBRARY = list(INSTRUMENTS.values())
ENTRIES = pytest.mark.parametrize("instrument", LIBRARY, ids=[instrument.name for instrument in LIBRARY])


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def test_it_holds_the_instruments_that_registries_use():
    assert len(INSTRUMENTS) >= 35
    assert {name: entry.name for name, entry in INSTRUMENTS.items()} == {name: name for name in INSTRUMENTS}
    assert {entry.domain for entry in LIBRARY} >= {"pain", "function", "mood", "sleep", "cognition", "quality of life"}


@ENTRIES
def test_an_entry_is_complete_and_its_thresholds_have_a_source_and_a_population(instrument: Instrument):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", instrument.name)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", instrument.column)
    assert instrument.title
    assert instrument.unit
    assert instrument.low < instrument.high
    assert instrument.direction in ("lower is better", "higher is better")
    span = instrument.high - instrument.low
    for threshold in instrument.responder:
        assert threshold.source
        assert threshold.population
        lowest, highest = {
            "absolute": (0, span),
            "relative": (0, 1),
            "level": (instrument.low, instrument.high),
        }[threshold.kind]
        assert lowest < threshold.value < highest


@ENTRIES
def test_the_range_is_what_the_items_add_up_to(instrument: Instrument):
    scoring = instrument.scoring
    if scoring.n_items is None or scoring.item_low is None or scoring.item_high is None or scoring.method == "index":
        return
    if scoring.at_least_answered is not None:
        assert scoring.at_least_answered <= scoring.n_items
    if scoring.method == "mean":
        assert (instrument.low, instrument.high) == (scoring.item_low, scoring.item_high)
    elif scoring.method == "percent":
        assert (instrument.low, instrument.high) == (0, 100)
    else:
        times = 2 if "doubled" in scoring.note else 1
        assert (instrument.low, instrument.high) == tuple(
            times * scoring.n_items * end for end in (scoring.item_low, scoring.item_high)
        )


@ENTRIES
def test_the_range_is_within_that_of_its_column(instrument: Instrument):
    for column in (table[instrument.column] for table in (EPISODES, VISITS) if instrument.column in table):
        assert column.low <= instrument.low
        assert column.high >= instrument.high


def test_a_name_means_one_instrument_and_none_of_its_own_traps():
    owners: dict[str, str] = {}
    for entry in LIBRARY:
        for name in {plain(name) for name in (entry.name, *entry.names)} - {"pcs"}:
            assert owners.setdefault(name, entry.name) == entry.name, name
        assert not {plain(name) for name in entry.names} & {plain(name) for name in entry.not_names}, entry.name


def test_a_code_means_one_instrument():
    for system in ("loinc", "snomed"):
        codes = [code for entry in LIBRARY for code in getattr(entry, system)]
        assert len(codes) == len(set(codes))
    for code in (code for entry in LIBRARY for code in entry.loinc):
        digits = [int(digit) for digit in code.replace("-", "")]
        assert (check_digit(digits[:-1])) == digits[-1], code


def check_digit(digits: list[int]) -> int:
    """The check digit of LOINC (mod 10)."""
    odd = "".join(map(str, digits[::-1][0::2]))
    even = sum(digits[::-1][1::2])
    return -(sum(map(int, str(2 * int(odd)))) + even) % 10


def test_traps_of_names_are_known():
    assert "sf36_pcs" in INSTRUMENTS["pcs"].not_names
    assert {"pcqtotalscoreval", "PCSRAW"} <= set(INSTRUMENTS["pcs6"].names)
    assert (INSTRUMENTS["pcs6"].high, INSTRUMENTS["pcs"].high) == (24, 52)
    assert any("0-6" in name for name in INSTRUMENTS["pgic"].not_names)
    assert any("raw" in name for name in INSTRUMENTS["promis_physical_function"].not_names)
    assert not INSTRUMENTS["dass21_depression"].responder


def test_the_listing_names_range_direction_and_sources():
    rows = {row["instrument"]: row for row in list_instruments()}
    assert set(rows) == set(INSTRUMENTS)
    assert rows["odi"]["column"] == "odi"
    assert rows["nrs_average"]["column"] == "pain_nrs"
    assert "Ostelo 2008" in rows["rmdq"]["responder"]
    assert rows["promis_physical_function"]["direction"] == "higher is better"
    assert "at least 4 answered" in rows["bpi_interference"]["scoring"]
