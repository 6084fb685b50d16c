"""Ids that repeat are found however their hashes fall, across parts and resumed runs; counts of parts add up."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.cohort.rejects import REJECT_COLUMNS, UNKNOWN_COLUMN, compute_reject_share, count_lost
from paincast.serving.batch import ids as ids_module
from paincast.serving.batch import tally as tally_module
from paincast.serving.batch.ids import NO_IDS, find_repeated, hash_ids, holds_any, join_ids, list_ids, write_ids
from paincast.serving.batch.tally import OTHER_REASONS, Tally, sum_tallies

IDS = st.text(alphabet=st.characters(codec="utf-8"), max_size=6)


def list_repeated(parts: list[list[list[str]]]) -> dict[str, int]:
    """List the ids that several batches hold with the place of the first row of each, in the plainest way."""
    rows = [(name, number) for number, batch in enumerate(batch for part in parts for batch in part) for name in batch]
    batches = {name: {number for other, number in rows if other == name} for name, _ in rows}
    places = {name: place for place, (name, _) in reversed([*enumerate(rows, 1)])}
    return {name: places[name] for name, numbers in batches.items() if len(numbers) > 1}


@given(st.lists(st.lists(st.lists(st.one_of(IDS, st.sampled_from("abcd"))))), st.sampled_from([1, 3, 2**63]), st.data())
def test_repeated_ids_are_found_as_a_set_of_all_ids_finds_them(parts, n_hashes, data) -> None:
    real, at_once = ids_module.hash_ids, data.draw(st.sampled_from([1, 5, 1000]), label="at once")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids_module, "hash_ids", lambda texts: real(texts) % np.uint64(n_hashes))
        patch.setattr(ids_module, "IDS_AT_ONCE", at_once)
        paths, before = [], 0
        for part in parts:
            runs = [NO_IDS]
            for batch in part:
                runs.append(list_ids(pa.array(batch, pa.string()), np.arange(before + 1, before + 1 + len(batch))))
                before += len(batch)
            paths.append(Path(folder, f"{len(paths)}.arrow"))
            write_ids(paths[-1], join_ids(runs))
        found = find_repeated(paths, before)
        expected = list_repeated(parts)
        assert dict(zip(found.ids.to_pylist(), found.places.tolist(), strict=True)) == expected
        assert len(found.ids) == len(expected)
        for part, path in zip(parts, paths, strict=True):
            if any(name in expected for batch in part for name in batch):
                assert holds_any(path, found)


def test_ids_at_the_ends_of_a_range_of_hashes_are_found(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ids_module, "IDS_AT_ONCE", 1)
    ends = np.array([0, 2**62, 2**63 - 1, 2**63, 2**64 - 1], dtype=np.uint64)
    monkeypatch.setattr(ids_module, "hash_ids", lambda texts: ends[pc.cast(texts, pa.int64()).to_numpy()])
    for number in range(2):
        write_ids(tmp_path / str(number), join_ids([list_ids(pa.array(list("01234")), 10 * number + np.arange(5))]))
    found = find_repeated([tmp_path / "0", tmp_path / "1"], 3)
    assert (found.ids.to_pylist(), found.places.tolist()) == (list("01234"), [0, 1, 2, 3, 4])
    assert found.find_apart(pa.array(["3", "4", "4"]), np.array([3, 4, 14])).tolist() == [False, False, True]


@given(st.lists(IDS), st.integers(0, 3))
def test_a_hash_depends_on_the_text_alone(texts, start) -> None:
    whole = hash_ids(pa.array(texts, pa.string()))
    assert hash_ids(pa.array(texts, pa.string()).slice(start)).tolist() == whole[start:].tolist()
    assert [int(hash_ids(pa.array([text]))[0]) for text in texts] == whole.tolist()


def test_hashes_of_like_ids_are_spread() -> None:
    hashes = hash_ids(pa.array([f"ex-{n}" for n in range(50_000)]))
    assert len(set(hashes.tolist())) == 50_000
    counts = np.bincount((hashes & np.uint64(255)).astype(int), minlength=256)
    assert 100 < counts.min() <= counts.max() < 300


def test_hashes_are_those_of_every_process() -> None:
    assert hash_ids(pa.array(["", "a", "ä", "ex-17"])).tolist() == EXPECTED


EXPECTED = [0, 15565445264529232784, 7859719921064862638, 13153801411858690690]

ROWS = st.tuples(
    st.integers(0, 6),
    st.sampled_from(["odi", "bmi"]),
    st.sampled_from(["range", UNKNOWN_COLUMN]),
    st.sampled_from(["cell emptied", "row left out"]),
)


@given(st.lists(st.lists(ROWS, max_size=5), max_size=5))
@settings(max_examples=30)
def test_the_share_of_rejects_is_the_same_counted_batch_by_batch(batches) -> None:
    """A row belongs to one batch."""
    frames = [
        pd.DataFrame(
            [
                ("episodes", "in.csv", 10 * number + row + 1, column, rule, "", action)
                for row, column, rule, action in rows
            ],
            columns=list(REJECT_COLUMNS),
        )
        for number, rows in enumerate(batches)
    ]
    counts = Tally()
    for frame in frames:
        counts.note_rejects(frame)
    whole = pd.concat([pd.DataFrame(columns=list(REJECT_COLUMNS)), *frames], ignore_index=True)
    assert counts.lost == count_lost(whole)
    assert counts.lost.compute_share(50) == compute_reject_share(whole, 50)
    assert counts.n_rejects == len(whole)


ANSWERED = st.tuples(
    st.sampled_from(["facet_rfa", "si_joint_rfa"]),
    st.booleans(),
    st.sampled_from(["", "mark"]),
    st.sampled_from("abcdef"),
)


@given(st.lists(st.lists(ANSWERED, max_size=6), max_size=6), st.integers(0, 5))
def test_counts_of_parts_add_up_in_whatever_parts_and_however_they_were_stored(batches, per_part) -> None:
    columns = ["technique", "abstained", "use", "abstained_because"]
    schema = pa.schema([(name, pa.bool_() if name == "abstained" else pa.string()) for name in columns])
    tables = [pa.table(list(zip(*rows, strict=True)) or [[]] * 4, schema=schema) for rows in batches]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tally_module, "MOST_REASONS", 3)
        parts = []
        for number, table in enumerate(tables):
            if number % (per_part + 1) == 0:
                parts.append(Tally())
            parts[-1].note_answers(table, len(table))
        stored = [Tally.from_plain(json.loads(json.dumps(part.to_plain()))) for part in parts]
        total = sum_tallies(stored)
    rows = [row for batch in batches for row in batch]
    for technique in {row[0] for row in rows}:
        own = [row for row in rows if row[0] == technique]
        assert total.predicted[technique] == sum(not row[1] for row in own)
        assert total.abstained[technique] == sum(row[1] for row in own)
        reasons = [row[3] for row in own if row[1]]
        known = list(dict.fromkeys(reasons))[:3]
        expected = {reason: reasons.count(reason) for reason in known}
        others = len(reasons) - sum(expected.values())
        if per_part >= len(batches) or not others:
            assert dict(total.reasons[technique]) == expected | ({OTHER_REASONS: others} if others else {})
        assert sum(total.reasons[technique].values()) == len(reasons)
        assert (technique in total.marked) == any(not row[1] and row[2] for row in own)
    assert total.n_answers == len(rows)
    assert list(total.predicted) == list(dict.fromkeys(row[0] for row in rows if not row[1]))
