import datetime

import numpy as np
import pandas
import polars
import pytest

from multisi.errors import DataError
from multisi.fairness.reading import coded, read, spread, take, thinned


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1, 2, 1], [1, 2, 1]),
        ([True, False, True], [1, 0, 1]),
        (np.array([1.5, 2, 1], np.float32), [1.5, 2, 1]),
        (pandas.array([1, None, 3], "Int64"), [1, np.nan, 3]),
        (pandas.array([True, None, False], "boolean"), [1, np.nan, 0]),
        (pandas.Series([1, 2.5, None], dtype=object), [1, 2.5, np.nan]),
        (["b", "a", None], [1, 0, np.nan]),
        (pandas.array(["b", "a", None], "string"), [1, 0, np.nan]),
        (["1", "x", 3], [0, 2, 1]),
        (
            pandas.Categorical(["b", "a", None], categories=["b", "a"], ordered=True),
            [0, 1, np.nan],
        ),
        (pandas.to_datetime(["2020-01-01", "2020-01-03", None]), [0, 2, np.nan]),
        ([datetime.timedelta(1), datetime.timedelta(0), None], [1, 0, np.nan]),
        (pandas.arrays.SparseArray([0, 0, 5]), [0, 0, 5]),
    ],
)
def test_columns_of_all_kinds_are_numbers(column, expected):
    (found,) = read(pandas.DataFrame({"x": column}), missing=True)
    np.testing.assert_array_equal(found[:, 0], expected)
    if np.isnan(expected).any():
        with pytest.raises(DataError, match="Column 'x' must be finite; 1 of 3"):
            read(pandas.DataFrame({"x": column}))


def test_levels_of_two_tables_are_the_same():
    one, other = read(pandas.DataFrame({"x": ["b", "c"]}), pandas.DataFrame({"x": ["a", "b"]}))
    assert one[:, 0].tolist() == [0, 1] and other[:, 0].tolist() == [2, 0]


def test_frames_of_other_libraries():
    lists = {"n": [1, 2], "t": ["b", "a"], "c": ["y", "x"]}
    frame = polars.DataFrame(lists).with_columns(polars.col("c").cast(polars.Categorical))
    (found,) = read(frame)
    np.testing.assert_array_equal(found, [[1, 1, 1], [2, 0, 0]])
    np.testing.assert_array_equal(read(frame["n"])[0], [[1], [2]])
    assert take(frame, np.array([1]))["t"].to_list() == ["a"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pandas.DataFrame({"x": [[1], [2]]}), "Column 'x' must hold numbers or text"),
        (pandas.DataFrame({"x": [1j, 2]}), "Column 'x' must hold real numbers"),
        (pandas.DataFrame({"x": []}), "must have rows and columns"),
        (np.zeros((2, 2, 2)), "must have rows and columns"),
        (3, "must have rows and columns"),
        ([{"x": 1}], "with names, which would be lost"),
    ],
)
def test_what_is_no_table(table, message):
    with pytest.raises(DataError, match=message):
        read(table)


def test_groups_have_names_in_order():
    assert coded([10, 9, 10], 3)[0] == [9, 10]
    names, codes = coded(np.array(["b", 1, "a"], dtype=object), 3)
    assert names == [1, "a", "b"] and codes.tolist() == [2, 0, 1]
    assert coded(pandas.Series([True, False]), 2)[0] == [False, True]


def test_rows_are_drawn_from_large_groups_only():
    codes = np.repeat([0, 1], [100, 5])
    rows = thinned(codes, 10, 0)
    assert np.bincount(codes[rows]).tolist() == [10, 5] and (np.diff(rows) > 0).all()


def test_deviations_of_any_size():
    values = np.array([[1e300, 0.1, 1e-300], [-1e300, 0.1, -1e-300]])
    assert spread(values).tolist() == [1e300, 1, 1e-300]
