"""What is found in the bytes of a column is what a look at each cell finds."""

from __future__ import annotations

import itertools

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from paincast.scoring.text_bytes import end_with_digits, find_words, get_bytes, holds_any

CELLS = st.lists(st.none() | st.text(st.sampled_from("a Z0é9:=#\t漢x"), max_size=4), max_size=12)


@given(CELLS, st.integers(0, 3), st.sampled_from([pa.string(), pa.large_string()]))
def test_a_column_or_a_part_of_it_is_looked_at_as_cell_by_cell(cells, begin, kind):
    column = pa.array(cells, kind).slice(begin)
    texts = ["" if cell is None else cell for cell in cells[begin:]]
    raw, offsets = get_bytes(column)
    assert [bytes(raw[a:b]).decode() for a, b in itertools.pairwise(offsets)] == texts
    assert holds_any(column, b" :=") == any(character in " :=" for text in texts for character in text)
    assert end_with_digits(column) == all(text[-1:] in tuple("0123456789") for text in texts)
    contents = [text.encode() for text in texts]
    is_word = [content[:1].isalpha() or content[:1] >= b"\x80" for content in contents]
    is_followed = [content[1:2].isdigit() for content in contents]
    assert find_words(column).tolist() == [word and not digit for word, digit in zip(is_word, is_followed, strict=True)]
