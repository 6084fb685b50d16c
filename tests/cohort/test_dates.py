from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paincast.cohort.dates import PLACEHOLDERS, read_days, read_years
from paincast.cohort.registry.ingest import ingest
from paincast.cohort.registry.mapping import load_mapping
from paincast.cohort.registry.suggestion import suggest_mapping
from paincast.cohort.tables import Cohort
from paincast.errors import SettingsError

MAPPING = """
read: {file: in.csv}
procedure_date: {column: op}
episodes:
  episode_id: {column: id}
  patient_id: {column: id}
  technique: {always: facet_rfa}
  age_years: {column: dob, reads: years before procedure}
  procedure_year: {column: op, reads: year of date}
  pain_duration_months: {column: onset, reads: months before procedure}
visits:
  - month: {column: seen, reads: months since procedure}
    pain_nrs: {column: nrs1}
events:
  - kind: {always: complication}
    month: {column: seen, reads: months since procedure}
    when: {column: compl, is: ["yes"], is_not: others}
"""
COLUMNS = ("id", "op", "dob", "onset", "seen", "nrs1", "compl")
DAYS_PER_MONTH = 365.25 / 12

days = st.dates(date(1980, 1, 2), date(2079, 12, 31))
clocks = st.times()
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]).map(ZoneInfo)


def ingest_rows(folder: Path, *rows: tuple[str, ...], mapping: str = MAPPING) -> tuple[Cohort, pd.DataFrame]:
    lines = [",".join((str(number), *row)) for number, row in enumerate(rows, 1)]
    (folder / "in.csv").write_text("\n".join([",".join(COLUMNS), *lines]) + "\n", encoding="utf-8")
    (folder / "map.yaml").write_text(mapping, encoding="utf-8")
    return ingest(load_mapping(folder / "map.yaml"), [folder / "in.csv"])


def read(text: str, date_format: str | None = None, **bounds: pd.Timestamp) -> date | str | None:
    found, broken = read_days(pd.Series([text]), date_format, **bounds)
    rules = [rule for rule, rows in broken.items() if rows[0]]
    return rules[0] if rules else None if pd.isna(found[0]) else found[0].date()


@given(days, clocks, st.one_of(st.none(), offsets, zones), st.sampled_from("T "))
def test_the_calendar_day_counts_as_it_is_written(day: date, clock: object, zone: object, between: str) -> None:
    text = datetime.combine(day, clock, zone).isoformat(between)  # type: ignore[arg-type]
    assert read(text) == day
    assert read_years(pd.Series([text]))[0].tolist() == [day.year]


@given(days, clocks, offsets)
def test_an_offset_in_a_format_of_its_own_moves_nobody(day: date, clock: object, zone: timezone) -> None:
    at = datetime.combine(day, clock, zone).replace(second=0, microsecond=0)  # type: ignore[arg-type]
    assert read(at.strftime("%d.%m.%Y %H:%M %z"), "%d.%m.%Y %H:%M %z") == day


@given(st.dates(date(1000, 1, 1)), st.sampled_from(["%d.%m.%Y", "%m/%d/%Y", "%d%m%Y", "%Y%m%d"]))
def test_a_written_day_is_read_back(day: date, date_format: str) -> None:
    assert read(f"{day:{date_format}}", date_format) == (None if day in PLACEHOLDERS else day)


@given(st.text(alphabet="0123456789-/.:TZ +", max_size=20))
def test_what_is_read_without_a_format_begins_with_its_day(text: str) -> None:
    found = read(text)
    if isinstance(found, date):
        year, month, day = f"{found:%Y-%m-%d}".split("-")
        assert text.startswith(year)
        assert int(month) in range(1, 13)
        digits = "".join(letter for letter in text if letter.isdigit())
        assert digits.startswith((year + month + day, f"{year}{int(month)}{int(day)}", f"{year}{month}{int(day)}",
                                  f"{year}{int(month)}{day}"))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("2022", "no day"),
        ("2022-03", "no day"),
        ("2022.0", "no day"),
        ("44562", "day number"),
        ("44562.6", "day number"),
        ("2022-02-29", "not a date"),
        ("2022-13-01", "not a date"),
        ("2022-03-01 25:00", "not a date"),
        ("2022-03-01T", "not a date"),
        ("01.03.2022", "not a date"),
        ("2022-W09-2", "not a date"),
        ("2022-060", "not a date"),
        ("1646092800", "not a date"),
        ("20220230", "not a date"),
        ("2022-03-01/2022-04-01", "not a date"),
    ],
)
def test_what_is_no_day_is_a_reject_with_its_rule(text: str, rule: str) -> None:
    assert read(text) == rule


@pytest.mark.parametrize(
    "text", ["2024-02-29", "2024-2-29", "2024/02/29", "20240229", "2024-02-29 24:00", "2024-02-29 00:00:00.123456789"]
)
def test_a_leap_day_is_read_in_each_usual_form(text: str) -> None:
    assert read(text) == date(2024, 2, 29)


@pytest.mark.slow
@pytest.mark.parametrize("day", ["1900-01-01", "1899-12-30", "1753-01-01", "9999-12-31", "0001-01-01", "0000-00-00"])
def test_a_day_that_stands_for_no_value_is_missing(day: str, tmp_path: Path) -> None:
    assert read(day) is None
    cohort, rejects = ingest_rows(tmp_path, ("2022-03-01", day, "2021-03-01", "2022-06-01", "3", "no"))
    assert cohort.episodes["age_years"].isna().all()
    assert rejects.empty


def test_a_birthday_on_the_first_of_january_1970_is_one() -> None:
    assert read("1970-01-01") == date(1970, 1, 1)


def test_a_visit_on_the_day_of_the_procedure_is_not_before_it(tmp_path: Path) -> None:
    cohort, rejects = ingest_rows(
        tmp_path,
        ("2022-03-01 14:30", "1950-01-01", "", "2022-03-01", "3", "yes"),
        ("2022-03-01 00:00", "1950-01-01", "", "2022-03-01 08:15", "4", "yes"),
        ("2022-03-01T23:59", "1950-01-01", "", "2022-06-01", "5", "no"),
    )
    assert rejects.empty
    assert cohort.visits["month"].tolist() == pytest.approx([0, 0, 92 / DAYS_PER_MONTH])
    assert cohort.events["month"].tolist() == [0, 0]


def test_an_offset_moves_nobody_into_another_day_or_year(tmp_path: Path) -> None:
    cohort, rejects = ingest_rows(
        tmp_path,
        ("2022-01-01T00:00:00+01:00", "1950-01-01", "", "2022-01-01", "3", "no"),
        ("2022-03-01", "1950-01-01", "", "2022-03-01T00:30:00+02:00", "4", "no"),
        ("2021-12-31T20:00:00-05:00", "1950-01-01", "", "2022-04-01", "3", "no"),
    )
    assert rejects.empty
    assert cohort.episodes["procedure_year"].tolist() == [2022, 2022, 2021]
    assert cohort.visits["month"].tolist() == pytest.approx([0, 0, 91 / DAYS_PER_MONTH])
    assert cohort.episodes["age_years"].tolist()[0] == pytest.approx(72, abs=0.01)


def test_a_year_alone_is_a_year_and_no_day(tmp_path: Path) -> None:
    cohort, rejects = ingest_rows(
        tmp_path, ("2022", "1950", "2020-05", "2022-06", "3", "no"), ("2022-03-01", "1950", "2020", "44713", "3", "no")
    )
    assert cohort.episodes["procedure_year"].tolist() == [2022, 2022]
    assert cohort.episodes[["age_years", "pain_duration_months"]].isna().all(axis=None)
    assert cohort.visits.empty
    assert set(rejects[["table", "row", "column", "rule"]].itertuples(index=False, name=None)) == {
        ("episodes", 1, "op", "no day"),
        ("episodes", 1, "age_years", "no day"),
        ("episodes", 2, "age_years", "no day"),
        ("episodes", 1, "pain_duration_months", "no day"),
        ("episodes", 2, "pain_duration_months", "no day"),
        ("visits", 1, "month", "no day"),
        ("visits", 2, "month", "day number"),
    }


SHORT_YEARS = MAPPING.replace("{column: op", '{date_format: "%d.%m.%y", column: op').replace(
    "reads: years", 'date_format: "%d.%m.%y", reads: years'
).replace("reads: months", 'date_format: "%d.%m.%y", reads: months')  # fmt: skip


def test_a_year_of_two_digits_lies_in_the_only_century_that_fits(tmp_path: Path) -> None:
    cohort, rejects = ingest_rows(
        tmp_path,
        ("01.03.22", "01.03.50", "01.03.21", "01.06.22", "3", "no"),
        ("01.03.22", "01.03.30", "02.03.22", "01.06.22", "3", "no"),
        ("01.03.22", "01.03.05", "01.03.68", "01.06.22", "3", "no"),
        ("01.03.22", "01.03.20", "", "01.06.22", "3", "no"),
        ("01.03.99", "01.03.99", "", "01.06.99", "3", "no"),
        ("01.03.79", "01.03.50", "", "01.06.22", "", "no"),
        mapping=SHORT_YEARS,
    )
    assert cohort.episodes["age_years"].round(1).fillna(-1).tolist() == [72, 92, 17, -1, -1, -1]
    assert cohort.episodes["pain_duration_months"].round().fillna(-1).tolist() == [12, -1, 648, -1, -1, -1]
    assert cohort.episodes["procedure_year"].fillna(0).tolist() == [2022, 2022, 2022, 2022, 1999, 0]
    centuries = rejects[rejects["rule"] == "century"]
    assert set(centuries[["row", "column"]].itertuples(index=False, name=None)) == {
        (2, "pain_duration_months"),
        (4, "age_years"),
        (5, "age_years"),
        (6, "op"),
        (6, "procedure_year"),
    }


@pytest.mark.slow
@given(st.dates(date(2000, 1, 1), date(2020, 12, 31)), st.integers(6, 98))
def test_the_age_of_a_patient_born_in_a_year_of_two_digits_is_right(procedure: date, age: int) -> None:
    born = date(procedure.year - age, 3, 1) if (procedure.month, procedure.day) >= (3, 1) else None
    if born:
        latest = pd.Timestamp(procedure)
        found = read(f"{born:%d.%m.%y}", "%d.%m.%y", earliest=latest - pd.Timedelta(days=105 * 365.25), latest=latest)
        assert found == born


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seen,", 'seen, date_format: "%m/%Y",', "does not tell the day"),
        ("dob,", 'dob, date_format: "%Y",', "does not tell the day"),
        ("{column: op}", '{column: op, date_format: "%d.%m"}', "does not tell the day"),
        ("op, reads", 'op, date_format: "%d.%m", reads', "does not tell the year"),
        ("seen,", "seen, date_format: DD.MM.YYYY,", "does not tell the day"),
        ("seen,", 'seen, date_format: "%d.%m.%Q",', "is not a strptime format"),
    ],
)
def test_a_format_without_a_day_is_refused_where_days_are_counted(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in MAPPING
    (tmp_path / "map.yaml").write_text(MAPPING.replace(old, new), encoding="utf-8")
    with pytest.raises(SettingsError, match=words):
        load_mapping(tmp_path / "map.yaml")


def test_typed_dates_of_parquet_follow_the_same_rules(tmp_path: Path) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    op = pa.array([datetime(2022, 1, 1, 0, 30, tzinfo=berlin)] * 2, pa.timestamp("ns", tz="Europe/Berlin"))
    born = pa.array([date(1950, 1, 1), date(1900, 1, 1)], pa.date32())
    seen = pa.array([datetime(2022, 1, 1), datetime(2022, 4, 1, 23, 59, tzinfo=UTC).replace(tzinfo=None)])
    columns = {"id": ["1", "2"], "op": op, "dob": born, "onset": pa.nulls(2, pa.date32()), "seen": seen}
    pq.write_table(pa.table({**columns, "nrs1": [3.0, 4.5], "compl": ["no", "no"]}), tmp_path / "in.parquet")
    (tmp_path / "map.yaml").write_text(MAPPING.replace("in.csv", "in.parquet"), encoding="utf-8")
    cohort, rejects = ingest(load_mapping(tmp_path / "map.yaml"), [tmp_path / "in.parquet"])
    assert rejects.empty
    assert cohort.episodes["procedure_year"].tolist() == [2022, 2022]
    assert cohort.episodes["age_years"].round(1).fillna(-1).tolist() == [72, -1]
    assert cohort.visits["month"].tolist() == pytest.approx([0, 90 / DAYS_PER_MONTH])


def test_day_numbers_of_a_spreadsheet_are_suggested_as_no_date(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("year of procedure,nrs\n" + "44562x,7\n" * 3)
    assert 'date_format: "TODO"' in suggest_mapping(tmp_path / "in.csv")
