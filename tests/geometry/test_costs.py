"""What paths cost, against closed forms and against each other."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import multisi
from multisi.errors import ConfigError, DataError, ShapeError, SimplexError
from multisi.paths import Bow, Learned, Segment, Timed
from tests.closed_forms import mixtures

E = torch.eye(3, dtype=torch.float64)
NAMES = ["noise", "a", "b"]


def gaussian(means, deviations, noise="noise"):
    """A model of Gaussians of one dimension."""
    one = torch.ones(1, dtype=torch.float64)
    field = multisi.GaussianMixtureMeans(
        [one] * len(means),
        [torch.tensor([[m]], dtype=torch.float64) for m in means],
        [torch.tensor([[[s**2]]], dtype=torch.float64) for s in deviations],
    )
    return multisi.Model(field, NAMES[len(NAMES) - len(means) :], noise)


def mixture_model(**options):
    return multisi.Model(multisi.GaussianMixtureMeans(*mixtures(**options)), NAMES, "noise")


def test_the_energy_of_two_gaussians():
    """b = Δm + cov(ẋ, x)/var(x) (x − m), so E|b|² = Δm² + cov²/var."""
    model = gaussian([0.0, -1.0, 2.0], [1.0, 0.5, 1.5])
    t = np.linspace(0, 1, 20_001)
    cov, var = -(1 - t) * 0.25 + t * 2.25, (1 - t) ** 2 * 0.25 + t**2 * 2.25
    exact = 9 + np.trapezoid(cov**2 / var, t)
    found = model.transport_cost("a", "b")
    assert float(found) == pytest.approx(exact, abs=5 * found.standard_error)
    assert 0 < found.standard_error < 0.2
    assert float(model.transport_cost("b", "a")) == pytest.approx(float(found))


def test_scaled_gaussians_need_no_more_than_their_distance():
    """Between N(0, s²) the best cone path is radial: its cost is (s₁ − s₀)² = W₂²."""
    model = gaussian([0.0, 0.0, 0.0], [1.0, 0.5, 1.5])
    least = model.transport_cost("a", "b", kind="least", count=20_000)
    assert float(least) == pytest.approx(1.0, abs=5 * least.standard_error)
    assert float(model.transport_cost("a", "b", kind="map", count=20_000)) == pytest.approx(
        1.0, rel=0.05
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_figures(seed):
    model = mixture_model(seed=seed)
    for pair in (("a", "b"), ("noise", "b")):
        moved, least, length, energy = (
            float(model.transport_cost(*pair, kind=kind, count=1000))
            for kind in ("map", "least", "length", "energy")
        )
        assert least <= length**2 * (1 + 1e-9)
        assert length**2 <= energy * (1 + 1e-9)
        assert moved <= energy * 1.05


@pytest.mark.parametrize("path", [Segment(E[1:]), Segment(E[[0, 2]]), Bow(E[1:])], ids=repr)
def test_constant_speed_never_costs_more(path):
    model = mixture_model(seed=1)
    even = model.constant_speed(path)
    ends = [NAMES[int(path(torch.tensor(t, dtype=torch.float64)).argmax())] for t in (0.0, 1.0)]
    cost = {
        "before": float(model.transport_cost(*ends, path=path)),
        "after": float(model.transport_cost(*ends, path=even)),
        "least": float(model.transport_cost(*ends, path=path, kind="length")) ** 2,
    }
    assert cost["after"] <= cost["before"] * 1.001
    assert cost["after"] == pytest.approx(cost["least"], rel=0.01)
    assert float(model.transport_cost(*ends, path=even, kind="map")) == pytest.approx(
        float(model.transport_cost(*ends, path=path, kind="map")), rel=1e-3
    )


def test_an_interpolant_has_its_own_cost():
    """Of N(0, 1) on both ends: the trigonometric one costs nothing, the straight one shrinks."""
    model = gaussian([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
    assert float(model.transport_cost("a", "b", interpolant="trigonometric")) < 1e-3
    assert float(model.transport_cost("a", "b")) > 0.3


def test_a_path_with_kinks_and_points_between():
    model = mixture_model(seed=2)
    through = model.transport_cost("a", "b", via="noise", count=1000)
    assert float(through) > float(model.transport_cost("a", "b", kind="length", count=1000)) ** 2


def test_states_that_the_flow_has_moved_give_the_same_cost():
    """A model that was read from a file has no draws: noise or samples are moved instead."""
    model = mixture_model(seed=3)
    joint = model.transport_cost("a", "b", count=4000)
    rows = model.conditional_means.sample(4000, torch.Generator().manual_seed(0))[:, 1]
    moved = model.transport_cost("a", "b", samples={"a": rows}, count=4000)
    assert float(moved) == pytest.approx(float(joint), rel=0.08)


def test_without_anything_to_draw_from():
    field = multisi.ConditionalMeans(lambda x, alpha: x.new_zeros(len(x), 2, *x.shape[1:]))
    model = multisi.Model(field, ["a", "b"])
    with pytest.raises(DataError, match=r"samples=\{name: rows\}"):
        model.transport_cost("a", "b")
    with pytest.raises(DataError, match=r"Samples of one of \['a', 'b'\] are needed; got \['c'\]"):
        model.transport_cost("a", "b", samples={"c": torch.zeros(5, 2)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "cheap"}, r"kind must be one of energy, length, least, map; got 'cheap'"),
        ({"count": 1}, "count must be an integer of at least 2"),
        ({"path": "crooked"}, "crooked"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(multisi.errors.MultisiError, match=message):
        mixture_model().transport_cost("a", "b", **options)


def test_one_point_for_each_row_is_refused():
    with pytest.raises(ShapeError, match="source must be one point"):
        mixture_model().transport_cost(["a", "b"], "b")


def test_a_clock():
    times = torch.linspace(0, 1, 11)
    late = Timed(Segment(E[1:]), torch.stack([times, times**2]))
    assert torch.allclose(late(times)[:, 2], times**2)
    kinked = Timed(multisi.paths.Polyline(E[[1, 0, 2]]), torch.stack([times, times**2]))
    assert kinked.knots[1] == pytest.approx(0.5**0.5, abs=1e-3)
    for wrong in (
        times,
        torch.stack([times, times]).flip(1),
        torch.ones(2, 1),
        [[0, 1], [0, 0.5]],
    ):
        with pytest.raises(ConfigError, match="A clock must have rows of times and places"):
            Timed(Segment(E[1:]), wrong)


@given(
    st.sampled_from(["fourier", "spline", "piecewise"]),
    st.integers(0, 2**31),
    st.integers(4, 9),
    st.booleans(),
)
def test_learned_curves_stay_on_the_simplex(form, seed, count, inner):
    source = torch.Generator().manual_seed(seed)
    end = torch.tensor([0.0, 0.2, 0.3, 0.5], dtype=torch.float64) if inner else torch.eye(4)[3]
    start = torch.eye(4, dtype=torch.float64)[1]
    used = 4 if inner else 3
    coefficients = torch.randn(used, count, generator=source, dtype=torch.float64)
    path = Learned([start, end], [0], coefficients, form)
    t = torch.linspace(0, 1, 33, dtype=torch.float64)
    alpha = path(t)
    assert torch.equal(alpha[0], start)
    assert torch.allclose(alpha[-1], end.double(), atol=1e-12)
    assert (alpha[1:-1, path.used] > 0).all()
    assert torch.allclose(alpha.sum(-1), torch.ones_like(t))
    assert torch.allclose(path.reverse()(1 - t), alpha, atol=1e-12)
    again = Learned(**path.to_dict())
    assert torch.equal(again(t), alpha)


def test_learned_curves_have_exact_derivatives():
    clock = torch.linspace(0, 1, 9, dtype=torch.float64)
    clock = torch.stack([clock, clock**1.3, 1 + clock * (1 - clock)])
    for form in ("fourier", "spline", "piecewise"):
        path = Learned(E[1:], [0], torch.randn(3, 6, dtype=torch.float64), form, clock)
        t, h = torch.tensor([0.23, 0.61], dtype=torch.float64), 1e-6
        rate = torch.func.jvp(path, (t,), (torch.ones_like(t),))[1]
        assert torch.allclose(rate, (path(t + h) - path(t - h)) / (2 * h), atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((E[1:], [0], torch.zeros(3, 4), "sines"), ConfigError, "form must be one of fourier"),
        (
            (E[1:], [0], torch.zeros(2, 4)),
            ShapeError,
            r"shape \(3, n\); got \(2, 4\)",
        ),
        ((2 * E[1:], [0], torch.zeros(3, 4)), SimplexError, "must sum to 1"),
        ((E[1:], [0], torch.zeros(3, 4), "fourier", torch.ones(3, 4)), ConfigError, "scales"),
    ],
)
def test_learned_curves_that_are_none(arguments, error, message):
    with pytest.raises(error, match=message):
        Learned(*arguments)
