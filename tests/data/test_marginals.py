import numpy as np
import pytest
import torch

from multisi import Marginal, StandardNormal
from multisi.data.prepare import prepare
from multisi.errors import ConfigError, DataError, ShapeError

X = torch.zeros(4, 2)


def test_noise_comes_first():
    assert list(prepare({"a": X, "z": StandardNormal(), "b": X})) == ["z", "a", "b"]


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((4, 2), dtype=np.int64),
        np.zeros((4, 2), dtype=">f8"),
        np.zeros((4, 4))[::-1, ::2],
        [[0, 1], [2, 3]],
        np.zeros((4, 2), dtype=bool),
        np.zeros((4, 2), dtype=np.float16),
        np.ma.masked_array(np.zeros((4, 2))),
    ],
)
def test_arrays_of_numbers(samples):
    assert Marginal(samples).event_shape == (2,)


def test_samples_are_copied_from_numpy():
    x = np.zeros((4, 2))
    marginal = Marginal(x)
    x[:] = 1
    assert (marginal.samples == 0).all()


@pytest.mark.parametrize(
    ("marginals", "error", "message"),
    [
        ({"a": X}, DataError, "At least 2 marginals"),
        ({}, DataError, "At least 2 marginals"),
        ([X, X], ConfigError, "must be a dict"),
        ({"a": X, 3: X}, ConfigError, "non-empty string; got 3"),
        ({"a": X, "": X}, ConfigError, "non-empty string"),
        ({"a": X, "b": torch.zeros(4, 3)}, ShapeError, r"'a' has \(2,\), 'b' has \(3,\)"),
        ({"a": X, "b": X[:0]}, DataError, "'b': a marginal must have at least 2 rows; got 0"),
        ({"a": X, "b": X[:1]}, DataError, "'b': a marginal must have at least 2 rows; got 1"),
        ({"a": X, "b": 3.0}, ShapeError, "'b': samples .*axis of rows"),
        ({"a": X, "b": [["x", "y"]] * 3}, DataError, "'b': samples must be an array of numbers"),
        ({"a": X, "b": X.to(torch.complex64)}, DataError, "must be real"),
        ({"a": X, "b": torch.zeros(4, 0)}, DataError, r"'b': .*empty.*\(4, 0\)"),
        ({"z": StandardNormal(), "y": StandardNormal(), "a": X}, ConfigError, "At most one"),
        ({"z": StandardNormal()}, DataError, "At least 2"),
    ],
)
def test_bad_marginals(marginals, error, message):
    with pytest.raises(error, match=message):
        prepare(marginals)


def test_not_finite_names_marginal_count_and_first_row():
    bad = X.clone()
    bad[2, 1] = float("nan")
    bad[3, 0] = float("inf")
    with pytest.raises(DataError, match=r"'b'.* 2 of 4 rows .* the first is row 2"):
        prepare({"a": X, "b": bad})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weights": [1, 1, 1]}, ShapeError, "one entry per row"),
        ({"weights": [1, 1, 1, -1]}, DataError, "must not be negative"),
        ({"weights": [0, 0, 0, 0]}, DataError, "not all zero"),
        ({"weights": [1, 1, 1, float("nan")]}, DataError, "weights .*finite"),
        ({"labels": [0.5, 1, 2, 3]}, DataError, "labels .*integers"),
        ({"labels": ["cat", 1, 2, 3]}, DataError, "integers or text; got int 1 in 3 of 4"),
        ({"labels": np.ma.masked_array(range(4), [1, 0, 0, 0])}, DataError, "masked entries"),
        ({"weights": np.ma.masked_array([1] * 4, [1, 0, 0, 0])}, DataError, "masked entries"),
        ({"labels": torch.eye(4, dtype=torch.int64)[0].to_sparse()}, DataError, "plain, dense"),
        ({"labels": [1, 2]}, ShapeError, "one entry per row"),
    ],
)
def test_bad_weights_and_labels(options, error, message):
    with pytest.raises(error, match=message):
        Marginal(X, **options)
