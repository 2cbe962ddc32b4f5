import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multisi.common.derivatives import jvp
from multisi.errors import ConfigError, ShapeError, SimplexError
from multisi.paths.bow import Bow
from multisi.paths.polyline import Polyline, Segment

E = torch.eye(4, dtype=torch.float64)
TIMES = torch.linspace(0, 1, 101, dtype=torch.float64)
PATHS = [
    Segment([E[1], E[2]]),
    Polyline([E[1], E[0], E[3]]),
    Polyline([E[1], E[1], E[3]]),
    Bow([E[1], E[2]]),
    Bow([E[1], E[3], E[2]], depth=0.2),
    Segment([E[[1, 2, 3]], E[0]]),
    Bow([E[[1, 2, 3]], E[[2, 3, 1]]]),
]


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_on_the_simplex_with_the_right_ends_and_shape(path):
    alpha = path(TIMES)
    assert alpha.shape == (101, *path.points.shape[1:])
    assert torch.allclose(alpha.sum(-1), torch.ones((), dtype=torch.float64))
    assert (alpha >= 0).all()
    assert torch.allclose(alpha[0], path.points[0]) and torch.allclose(alpha[-1], path.points[-1])
    assert path(TIMES[3]).shape == path.points.shape[1:]


@pytest.mark.parametrize("path", PATHS, ids=repr)
@given(t=st.floats(0.01, 0.99))
def test_derivative_by_jvp(path, t):
    if min(abs(t - knot) for knot in path.knots) < 1e-3:
        return
    t = torch.tensor(t, dtype=torch.float64)
    _, rate = jvp(path, t, torch.ones_like(t))
    h = 1e-6
    assert torch.allclose(rate, (path(t + h) - path(t - h)) / (2 * h), atol=1e-6)


def test_constant_speed_and_knots():
    path = Polyline([E[0], E[1], 0.5 * E[1] + 0.5 * E[2]])
    assert path.knots == pytest.approx((0, 2 / 3, 1))
    speed = path(TIMES).diff(dim=0).norm(dim=-1)
    assert torch.allclose(speed[5], speed[-5])


def test_bow_leaves_the_face_with_no_slope():
    alpha = Bow([E[1], E[2]], depth=0.5)(TIMES)
    assert (alpha[1:-1, 0] > 0).all() and alpha[50, 0] == 0.5
    assert alpha[1, 0] < 1e-3


def test_bad_paths():
    with pytest.raises(SimplexError, match="exactly 2 points; got 3"):
        Segment([E[0], E[1], E[2]])
    with pytest.raises(SimplexError, match="at least 2 points; got 1"):
        Polyline([E[0]])
    with pytest.raises(ConfigError, match="between 0 and 1; got 1"):
        Bow([E[1], E[2]], depth=1)


@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        ([[0.5, 0.6], [1, 0]], SimplexError, r"points\[0\] .*sum .*1\.1"),
        ([[float("nan"), 1], [1, 0]], SimplexError, r"points\[0\] .*finite.*\[nan, 1"),
        ([[1, 0], [1, 0, 0]], ShapeError, r"\(k,\).* \[\(2,\), \(3,\)\]"),
        ([torch.eye(2), torch.eye(3)[:, :2]], SimplexError, r"points\[1\] .*sum .* 0\b"),
        ([torch.eye(2), torch.eye(2)[[0, 1, 0]]], ShapeError, r"\[\(2, 2\), \(3, 2\)\]"),
        ([torch.eye(2)[None], [1, 0]], ShapeError, r"\[\(1, 2, 2\), \(2,\)\]"),
        ([[[1], [1, 0]], [1, 0]], SimplexError, r"points\[0\] .*array of numbers"),
        ([[1j, 0], [1, 0]], SimplexError, r"points\[0\] .*complex128"),
        (["a", "b"], SimplexError, r"points\[0\] .*<U1"),
        ([3, 4], SimplexError, r"points\[0\] .*axis of coordinates.* \(\)"),
        (3, ConfigError, "points .*list.* 3"),
        (None, ConfigError, "points .*list.* None"),
    ],
)
def test_points_that_are_none(points, error, message):
    for kind in (Polyline, Segment, Bow):
        with pytest.raises(error, match=message):
            kind(points)


def test_lists_and_whole_numbers_are_points():
    plain = Polyline([torch.eye(3)[0], torch.eye(3)[1]])(torch.tensor(0.3))
    for ends in (
        [[1, 0, 0], [0, 1, 0]],
        [np.eye(3)[0], torch.eye(3, dtype=torch.int64)[1]],
        np.eye(3)[:2],
        torch.eye(3)[:2],
    ):
        assert torch.equal(Polyline(ends)(torch.tensor(0.3)), plain)
    for depth in ("x", float("nan"), 0, 1, True):
        with pytest.raises(ConfigError, match="depth"):
            Bow([[1, 0], [0, 1]], depth=depth)
