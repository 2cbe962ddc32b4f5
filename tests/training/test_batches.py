import torch

import multisi
from multisi import training

X = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
DATA = {"z": multisi.StandardNormal(), "a": X, "b": X * 0.5 + 2}


def test_batches_are_a_function_of_the_step():
    one, other = (training.Batches(DATA, batch_size=32, seed=3) for _ in range(2))
    for step in (70, 0, 5, 5, 70):
        ours, theirs = one(step), other(step)
        assert torch.equal(ours.x, theirs.x) and torch.equal(ours.target, theirs.target)
    assert not torch.equal(one(0).alpha, one(1).alpha)
    assert not torch.equal(one(0).x, training.Batches(DATA, batch_size=32, seed=4)(0).x)


def test_batches_are_standardised():
    batches = training.Batches(
        {"a": X * 100 + 7000, "b": X * 100 + 7300},
        batch_size=4000,
    )
    assert batches(0).x.abs().mean() < 2 and batches(0).x.mean().abs() < 0.1


def test_plans_are_in_the_units_of_fit():
    """A plan is the best in the units that training uses, unless the coupling is told others."""
    source = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 200, 2, generator=source)
    data = {"a": a, "b": b * torch.tensor([1.0, 100.0])}

    def total(units, **given):
        made = training.Batches(data, coupling="ot", units=units, batch_size=200, **given)
        xs = made.coupling.sample(200, seed=0, step=0)
        return (xs[:, 0] - xs[:, 1]).square().sum(1).mean()

    assert total("whole") < 0.999 * total("features")
    assert total("whole", coupling_options={"units": "features"}) == total("features")


def test_flattened_pictures_without_noise_are_blurred():
    """Noise on the state keeps a network smooth, but spoils what is drawn from a normal."""
    source = torch.Generator().manual_seed(0)
    pixels = torch.rand(300, 64, generator=source)
    pixels[:, :10] *= torch.rand(300, 10, generator=source) < 0.02
    normal = torch.randn(300, 64, generator=source)

    def blur(**data):
        return training.Batches(data).means("mlp").network.blur

    assert blur(a=pixels, b=pixels.flip(0)) > 0
    assert blur(a=pixels, b=pixels.flip(0), z=multisi.StandardNormal()) == 0
    assert blur(a=normal, b=normal + 1) == 0
    assert blur(a=pixels[:, :20], b=pixels[:, :20]) == 0
