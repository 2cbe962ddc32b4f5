import pytest
import torch

import multisi
from multisi import training
from multisi.training.balance import Balance, groups


def test_groups_are_the_datasets_that_mix_and_whether_noise_does():
    alpha = torch.tensor(
        [
            [0.5, 0.5, 0.0, 0.0],
            [0.0, 0.5, 0.5, 0.0],
            [0.0, 0.2, 0.8, 0.0],
            [0.3, 0.2, 0.5, 0.0],
            [0.0, 0.5, 0.0, 0.5],
            [0.0, 0.3, 0.3, 0.4],
            [0.1, 0.2, 0.3, 0.4],
        ]
    )
    found = groups(alpha, noise=True).tolist()
    assert found[1] == found[2] and found[5] == found[6] == 32
    assert len(set(found)) == 5
    plain = groups(alpha, noise=False).tolist()
    assert plain[0] not in plain[1:] and plain[3] == plain[5] == plain[6] == 32
    assert 0 <= min(found + plain) and max(found + plain) <= 32


def test_rows_are_weighed_by_the_root_of_their_usual_error():
    balance = Balance(3, torch.zeros((), dtype=torch.float64))
    group = torch.tensor([0] * 60 + [5] * 40)
    assert (balance.weights(group) == 1).all()
    errors = torch.where(group == 0, 0.25, 4.0).double()
    for _ in range(500):
        balance.add(balance.seen(group, errors))
    weights = balance.weights(group)
    assert weights[0] / weights[-1] == pytest.approx(4, rel=0.02)
    assert weights.mean() == pytest.approx(1, rel=0.01)


def test_errors_of_zero_leave_finite_weights():
    balance = Balance(2, torch.zeros(()))
    group = torch.tensor([0, 1])
    for errors in ([0.0, 0.0], [0.0, 1.0]):
        for _ in range(300):
            balance.add(balance.seen(group, torch.tensor(errors)))
        assert balance.weights(group).isfinite().all()


@pytest.mark.parametrize("wrong", [None, torch.zeros(2, 3), torch.full((2, 9), -1.0)])
def test_sums_of_a_checkpoint_are_checked(wrong):
    with pytest.raises(ValueError, match="balance must be"):
        Balance(2, torch.zeros(())).check(wrong)


def test_the_minimiser_is_the_conditional_mean():
    """Groups of different noise: the balanced fit finds the same means as the exact field."""
    source = torch.Generator().manual_seed(0)
    a = torch.randn(4000, 1, generator=source)
    data = {"z": multisi.StandardNormal(), "a": 0.1 * a + 2, "b": 3 * a.flip(0) - 1}
    model = multisi.fit(
        data, coupling="independent", steps=800, network_options={"width": 32}, progress=False
    )
    moments = [(0.0, 1.0), (2.0, 0.01), (-1.0, 9.0)]
    exact = multisi.Model(
        multisi.GaussianMixtureMeans(
            [torch.ones(1)] * 3,
            [torch.tensor([[m]]) for m, _ in moments],
            [torch.tensor([[[v]]]) for _, v in moments],
        ),
        ("z", "a", "b"),
        noise="z",
    )
    for source_, target in (("a", "b"), ("z", "b")):
        x = data[source_][:500] if source_ != "z" else a[:500]
        moved = model.transport(x, source_, target)
        gap = moved - exact.transport(x, source_, target)
        assert gap.square().mean().sqrt() < 0.15 * 3, (source_, target)


def test_training_keeps_the_balance_of_its_errors():
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    batches = training.Batches({"z": multisi.StandardNormal(), "a": x, "b": x + 4}, device="cpu")
    run = training.Training(batches.means("mlp", width=8), batches, training.Schedule(steps=30))
    run.run()
    tensors, _ = run.state()
    assert tensors["balance"].shape == (2, 19) and tensors["balance"].sum() > 0
