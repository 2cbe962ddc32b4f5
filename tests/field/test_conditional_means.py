import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import multisi
from multisi import ConditionalMeans, GaussianMixtureMeans
from multisi.errors import ShapeError, SimplexError
from multisi.field.conditional_means import projected_combination
from multisi.networks import MLP
from tests.closed_forms import mixtures

torch.manual_seed(0)
NETWORK = MLP((2,), 3, width=16, depth=2).double()
MEANS = ConditionalMeans(NETWORK)
EXACT = GaussianMixtureMeans(*mixtures())
weights = st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda w: sum(w) > 1e-2)


def points(rows):
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("means", [MEANS, EXACT])
@given(w=weights, scale=st.floats(0.1, 10))
def test_homogeneous_and_consistent(means, w, scale):
    x, alpha = torch.linspace(-2, 2, 10, dtype=torch.float64).reshape(5, 2), points(w)
    g = means(x, alpha)
    assert g.shape == (5, 3, 2)
    assert torch.allclose(torch.einsum("k,bkd->bd", alpha, g), x, atol=1e-8)
    assert torch.allclose(means(scale * x, scale * alpha), g, atol=1e-7)


def test_exact_at_the_corners():
    x = torch.randn(4, 2, dtype=torch.float64)
    for k in range(3):
        g = MEANS(x, torch.eye(3, dtype=torch.float64)[k])
        assert torch.allclose(g[:, k], x)


def test_projection_never_increases_the_error():
    x, alpha = torch.randn(50, 2).double(), torch.rand(50, 3).double()
    alpha = alpha / alpha.sum(1, keepdim=True)
    truth = EXACT(x, alpha)
    raw, projected = NETWORK(x, alpha), MEANS(x, alpha)
    assert ((projected - truth).square().sum((1, 2)) <= (raw - truth).square().sum((1, 2))).all()


@given(v=st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_combination_folds_the_projection(v):
    x, v = torch.randn(5, 2).double(), points(v)
    alpha = torch.rand(5, 3).double()
    alpha = alpha / alpha.sum(1, keepdim=True)
    of_heads, of_state = projected_combination(alpha, v)
    folded = torch.einsum("bk,bkd->bd", of_heads, NETWORK(x, alpha)) + of_state * x
    assert torch.allclose(folded, torch.einsum("k,bkd->bd", v, MEANS(x, alpha)), atol=1e-9)


def test_images():
    means = ConditionalMeans(MLP((3, 2, 2), 2, width=8))
    x = torch.randn(5, 3, 2, 2)
    g = means(x, torch.tensor([0.5, 0.5]))
    assert g.shape == (5, 2, 3, 2, 2) and torch.allclose(g.mean(1), x, atol=1e-6)


def test_condition_is_handed_on():
    def network(x, alpha, condition):
        return condition[:, None].expand(-1, 2, -1)

    means = ConditionalMeans(network)
    g = means(torch.zeros(3, 2), torch.eye(2)[0], condition=torch.ones(3, 2))
    assert (g[:, 1] == 1).all()


@pytest.mark.parametrize("answer", [torch.zeros(5, 2, 2), torch.zeros(5, 2), None])
def test_wrong_shapes_are_found(answer):
    with pytest.raises(ShapeError, match=r"one head per marginal, shape \(5, 3, 2\); got"):
        ConditionalMeans(lambda x, alpha: answer)(torch.zeros(5, 2), torch.ones(3))


def test_all_zero_weights():
    with pytest.raises(SimplexError, match="a positive sum in every row; the smallest is 0"):
        MEANS(torch.zeros(2, 2).double(), torch.zeros(3).double())


@pytest.mark.parametrize("event", [(), (2,), (3, 4, 4)])
@pytest.mark.parametrize("solver", ["adams", "midpoint", "rk4", "adaptive"])
def test_mixing_heads_before_the_last_layer_changes_nothing(event, solver):
    network = MLP(event, 4, width=16)
    mixing = multisi.Model(network, ("noise", "a", "b", "c"), "noise")
    plain = multisi.Model(lambda x, alpha: network(x, alpha), mixing.marginals, "noise")
    assert mixing.conditional_means.mixes and not plain.conditional_means.mixes
    x = torch.randn(9, *event, generator=torch.Generator().manual_seed(0))
    for target in ("a", "b", [0.1, 0.2, 0.3, 0.4], "noise"):
        for precision in (None, "bfloat16"):
            options = dict(solver=solver, steps=6, precision=precision)
            moved = mixing.transport(x, "a", target, **options)
            expected = plain.transport(x, "a", target, **options)
            assert torch.allclose(moved, expected, atol=1e-4 if precision is None else 0.2)
    moved = mixing.transport(x, "a", ["a", "b", "c"] * 3, solver=solver)
    assert torch.allclose(moved, plain.transport(x, "a", ["a", "b", "c"] * 3, solver=solver))
