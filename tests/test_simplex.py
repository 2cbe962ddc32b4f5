import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multisi import simplex
from multisi.errors import ConfigError, SimplexError


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(lambda w: sum(w) > 1e-3))
def test_normalised_weights_are_points(weights):
    alpha = torch.tensor(weights, dtype=torch.float64)
    checked = simplex.check(alpha / alpha.sum(), len(weights))
    assert torch.allclose(checked.sum(), torch.ones((), dtype=torch.float64))
    assert (checked >= 0).all()


def test_rounding_is_normalised():
    alpha = simplex.check(torch.tensor([0.3333, 0.3333, 0.3333]), 3)
    assert abs(alpha.sum().item() - 1) < 1e-15
    assert simplex.check(torch.tensor([1 + 1e-9, -1e-9]).double(), 2).tolist() == [1.0, 0.0]


def test_lists_and_arrays_keep_their_digits():
    alpha = np.array([0.1, 0.2, 0.7])
    for same in (alpha.tolist(), alpha, alpha.astype(">f8"), alpha[::-1].copy()[::-1]):
        assert simplex.check(same, 3).numpy() == pytest.approx(alpha, rel=1e-15)


@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        ([0.5, 0.5], "must have 3 coordinates"),
        ([0.5, 0.6, -0.1], "must not be negative"),
        ([0.5, 0.5, 0.5], "sum to 1; got a sum of 1.5"),
        ([float("nan"), 0.5, 0.5], "must be finite"),
        (0.5, "must have 3 coordinates"),
    ],
)
def test_points_off_the_simplex(alpha, message):
    with pytest.raises(SimplexError, match=message):
        simplex.check(torch.tensor(alpha), 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: simplex.corner(3, 3), SimplexError, "index .*below 3.* 3"),
        (lambda: simplex.corner(-1, 3), ConfigError, "index .*integer.* -1"),
        (lambda: simplex.corner(0.5, 3), ConfigError, "index .*integer.* 0.5"),
        (lambda: simplex.corner(0, "x"), ConfigError, "marginals .*integer.* 'x'"),
        (lambda: simplex.barycenter(0), ConfigError, "marginals .*at least 1.* 0"),
        (lambda: simplex.barycenter(1, noise=True), ConfigError, "marginals .*at least 2.* 1"),
        (lambda: simplex.barycenter(None), ConfigError, "marginals .*integer.* None"),
        (lambda: simplex.check("x", 3), SimplexError, "alpha .*numbers.*<U1"),
        (lambda: simplex.check([1j, 0, 0], 3), SimplexError, "alpha .*numbers.*complex128"),
        (lambda: simplex.check(None, 3), SimplexError, "alpha .*numbers.*NoneType"),
        (lambda: simplex.check([[1], [1, 0]], 2), SimplexError, "alpha .*array of numbers"),
        (
            lambda: simplex.check(torch.ones(3, device="meta"), 3),
            SimplexError,
            "alpha .*without values",
        ),
        (
            lambda: simplex.check(torch.eye(3)[0].to_sparse(), 3),
            SimplexError,
            "alpha .*dense.*sparse_coo",
        ),
    ],
)
def test_what_is_no_point(call, error, message):
    with pytest.raises(error, match=message):
        call()
