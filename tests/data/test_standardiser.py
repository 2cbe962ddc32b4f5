import pytest
import torch

from multisi import Marginal, StandardNormal
from multisi.data import Standardiser

CORNER, MIXED, NOISE = (
    torch.tensor(w, dtype=torch.float64) for w in ([0, 1, 0], [0.2, 0.3, 0.5], [1, 0, 0])
)


def test_pooled_and_per_feature():
    source = torch.Generator().manual_seed(0)
    x = torch.randn(5000, 2, generator=source) * torch.tensor([1.0, 10.0])
    units = Standardiser.of([StandardNormal(), Marginal(x), Marginal(x + 4)])
    y = torch.cat([units.standardise(part, CORNER) for part in (x, x + 4)])
    assert torch.allclose(y.mean(0), torch.zeros(2), atol=1e-5)
    assert torch.allclose(y.std(0), torch.ones(2), atol=1e-3)


def test_row_weights_count():
    x = torch.tensor([[0.0], [1.0], [100.0]])
    units = Standardiser.of([Marginal(x, weights=[1, 1, 0]), Marginal(x, weights=[1, 1, 0])])
    assert units.shift.tolist() == pytest.approx([0.5])


def test_constant_features_keep_their_scale():
    x = torch.full((10, 2), 7.0)
    units = Standardiser.of([StandardNormal(), Marginal(x), Marginal(x)])
    assert (units.scale == 1).all()
    assert (units.standardise(x, CORNER) == 0).all()


def test_images_share_one_scale():
    units = Standardiser.of([Marginal(torch.rand(6, 3, 4, 4)), Marginal(torch.rand(5, 3, 4, 4))])
    assert units.shift.shape == units.scale.shape == ()


def test_noise_is_raw_and_the_rest_is_inverted():
    shift, scale = torch.tensor([3.0, 1.0]), torch.tensor([2.0, 5.0])
    units = Standardiser(shift, scale, noise=True)
    x = torch.randn(7, 2)
    assert torch.equal(units.standardise(x, NOISE), x)
    assert not torch.equal(Standardiser(shift, scale).standardise(x, NOISE), x)
    for weights in (
        CORNER,
        MIXED,
        NOISE,
        3 * MIXED,
        torch.stack([CORNER, MIXED, NOISE] * 2 + [NOISE]),
    ):
        back = units.restore(units.standardise(x, weights), weights)
        assert torch.allclose(back, x, atol=1e-5)


@pytest.mark.parametrize("noise", [False, True])
def test_joint_draws_are_standardised_as_their_columns_are(noise):
    source = torch.Generator().manual_seed(0)
    shift, scale = torch.tensor([3.0, 1.0]), torch.tensor([2.0, 5.0])
    units, xs = Standardiser(shift, scale, noise), torch.randn(6, 3, 2, generator=source)
    columns = [units.standardise(xs[:, k], torch.eye(3)[k].double()) for k in range(3)]
    assert torch.allclose(units.standardise_draws(xs), torch.stack(columns, 1))
    assert torch.equal(units.standardise_draws(xs)[:, 0], xs[:, 0]) == noise


def test_a_standardiser_for_other_marginals_is_refused():
    import multisi

    units = Standardiser(torch.zeros(1), torch.ones(1), noise=False)
    with pytest.raises(multisi.errors.ConfigError, match=r"noise=False, .* noise='z'"):
        multisi.Model(lambda x, alpha: x, ["z", "a"], "z", standardiser=units)


def pixels(n=400):
    """Pictures of eight by eight pixels that are black at the border, but for a few."""
    source = torch.Generator().manual_seed(0)
    x = torch.rand(n, 8, 8, generator=source)
    x[:, [0, -1]] *= torch.rand(n, 2, 8, generator=source) < 0.02
    return x.flatten(1)


def test_many_features_of_one_kind_have_one_unit():
    x = pixels()
    units = Standardiser.of([Marginal(x), Marginal(1 - x)])
    assert units.scale.shape == ()
    assert Standardiser.of([Marginal(x)], "features").scale.shape == (64,)


@pytest.mark.parametrize("kind", ["few", "units", "spread", "one"])
def test_features_of_many_kinds_have_their_own_units(kind):
    x, source = pixels(), torch.Generator().manual_seed(1)
    if kind == "few":
        x = x[:, 24:36]
    if kind == "units":
        x = x * torch.logspace(0, 3, 64)
    if kind == "spread":  # Small, but not because it has one value.
        x[:, 40] = 0.05 * torch.rand(len(x), generator=source)
    if kind == "one":  # One column in units of its own makes the others small.
        x[:, 40] *= 100
    assert Standardiser.of([Marginal(x)]).scale.shape == x.shape[1:]


def test_features_of_like_size_have_one_unit():
    """Coordinates keep their distances; a constant column and its value are left alone."""
    x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    x = torch.cat(
        [x * torch.tensor([1.0, 1.4, 1.9]) + torch.tensor([0.0, 1e3, -1e5]), x[:, :1] * 0], 1
    )
    units = Standardiser.of([Marginal(x)])
    assert units.scale[:3].unique().numel() == 1 and units.scale[3] == 1
    each = x[:, :3].double().std(0, correction=0)
    torch.testing.assert_close(units.scale[0], each.square().mean().sqrt())
    torch.testing.assert_close(units.shift, x.double().mean(0))
    own = Standardiser.of([Marginal(x)], "features").scale[:3]
    torch.testing.assert_close(own, each)
    apart = Standardiser.of([Marginal(x * torch.tensor([1.0, 1.0, 1.2, 1.0]))]).scale
    assert apart.unique().numel() == 4
