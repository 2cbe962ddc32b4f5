"""Deliberately wrong interpolants and paths: each is caught by the check made for it."""

import pytest
import torch

import multisi
from multisi.errors import ConfigError, ConformanceError
from multisi.paths.polyline import Segment
from multisi.testing import check_interpolant, check_path
from multisi.testing.interpolants import INTERPOLANT
from multisi.testing.paths import PATH


class Right(multisi.Interpolant):
    def weights(self, alpha):
        return alpha


def interpolant(function, **attributes):
    """An interpolant of given weights."""
    body = {"weights": lambda self, alpha: function(alpha), **attributes}
    return type("Wrong", (multisi.Interpolant,), body)


def in_place(alpha):
    alpha.clamp_(0, 0.9)
    return alpha


def jumps(alpha):
    return alpha * (1 + 0.5 * (alpha.amax(-1, keepdim=True) < 0.7))


def by_hand(alpha):
    """Smooth, but with numbers that automatic derivatives do not follow."""
    return alpha.detach() if alpha.is_floating_point() else alpha


def noisy(alpha):
    bump = torch.zeros_like(alpha)
    bump[..., 0] = alpha[..., 1] * alpha[..., -1]
    return alpha + bump


def wiggly(alpha):
    return alpha * (1 + 0.9 * torch.sin(700 * alpha))


WRONG_INTERPOLANTS = {
    "interpolant": lambda: "not an interpolant",
    "shape": interpolant(lambda a: a[..., :2]),
    "dtype": interpolant(lambda a: a.double()),
    "finite": interpolant(lambda a: a * (a / a)),
    "non_negative": interpolant(lambda a: a - 2 * (a * (1 - a))),
    "corners": interpolant(lambda a: a / a.pow(2).sum(-1, keepdim=True).sqrt() * 1.1),
    "repeatable": interpolant(lambda a: a + (a * (1 - a)) * torch.rand(())),
    "untouched": interpolant(in_place),
    "rows": interpolant(lambda a: a + (a * (1 - a)) * a.reshape(-1, a.shape[-1]).mean(0)),
    "noise": interpolant(noisy),
    "continuous": interpolant(jumps),
    "derivatives": interpolant(by_hand),
    "law": interpolant(wiggly),
}


@pytest.mark.parametrize("check", INTERPOLANT.checks)
def test_wrong_interpolant(check):
    others = set(INTERPOLANT.checks) - {check}
    with pytest.raises(ConformanceError, match=f"\n- {check}: ") as caught:
        check_interpolant(WRONG_INTERPOLANTS[check], skip=others)
    assert set(caught.value.broken) == {check}


def path(function, **attributes):
    """A path `function(points, t)`."""

    class Wrong(Segment):
        def __call__(self, t):
            return function(super().__call__, t)

    for name, value in attributes.items():
        setattr(Wrong, name, value)
    return Wrong


class Late(Segment):
    """Its knots do not end at 1."""

    def __init__(self, points):
        super().__init__(points)
        self.knots = (0.0, 0.5)


class Changes(Segment):
    def __init__(self, points):
        points[0].mul_(1.0).add_(0.0)
        super().__init__(points)

    def __call__(self, t):
        alpha = super().__call__(t)
        if t.ndim:
            t.clamp_(0, 0.999)
        return alpha


def around(line, t):
    """Through the third corner and back, many times."""
    alpha, lift = line(t), 0.8 * torch.sin(60 * torch.pi * t).square()
    lift = lift.reshape(lift.shape + (1,) * (alpha.ndim - lift.ndim))
    return alpha + lift * (torch.tensor([1.0, 0, 0], dtype=alpha.dtype) - alpha)


WRONG_PATHS = {
    "path": lambda points: points[0],
    "shape": path(lambda line, t: line(t.reshape(-1))),
    "dtype": path(lambda line, t: line(t).float()),
    "ends": path(lambda line, t: line(0.1 + 0.9 * t)),
    "simplex": path(lambda line, t: 1.5 * line(t) - 0.5 * line(t * 0 + 0.5)),
    "knots": Late,
    "repeatable": path(lambda line, t: line(t * (1 - 0.1 * torch.rand(())) * (t < 1) + (t == 1))),
    "untouched": Changes,
    "times": path(lambda line, t: line(t + t * (1 - t) * t.mean())),
    "continuous": path(lambda line, t: line(torch.where(t < 0.5, t / 2, t))),
    "derivatives": path(lambda line, t: line(t.detach())),
    "law": path(around),
}


@pytest.mark.parametrize("check", PATH.checks)
def test_wrong_path(check):
    others = set(PATH.checks) - {check}
    with pytest.raises(ConformanceError, match=f"\n- {check}: ") as caught:
        check_path(WRONG_PATHS[check], skip=others)
    assert set(caught.value.broken) == {check}


def test_right_ones_pass():
    check_interpolant(Right)
    check_path(Segment)


def test_all_failures_are_told_at_once_and_can_be_skipped():
    with pytest.raises(ConformanceError, match=r"fails 3 of 13 checks:\n- ") as caught:
        check_interpolant(interpolant(lambda a: a.double() / a.sum(-1, keepdim=True) * 2))
    assert set(caught.value.broken) == {"dtype", "corners", "law"}
    assert isinstance(caught.value, AssertionError)
    check_interpolant(interpolant(lambda a: a.double()), skip=("dtype",))
    with pytest.raises(ConfigError, match=r"skip must name checks of interpolants, .*; got dtyp"):
        check_interpolant(Right, skip=("dtyp",))


def test_names_options_and_raising_plugins():
    with pytest.raises(ConfigError, match="factory must be a class, a function"):
        check_interpolant(3)
    check_interpolant("smoothed", form="sine", a=0.5)
    with pytest.raises(ConformanceError, match="- interpolant: raised TypeError"):
        check_interpolant(Right, unknown=3)
