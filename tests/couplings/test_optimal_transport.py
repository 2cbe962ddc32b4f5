import itertools

import numpy as np
import pytest
import torch

import multisi
from multisi import Marginal, StandardNormal
from multisi.couplings.optimal_transport import PLANS, OptimalTransport
from multisi.errors import ConfigError, DataError, ShapeError

SOURCE = torch.Generator().manual_seed(0)
X = torch.randn(2000, 2, generator=SOURCE)
Y = torch.randn(3000, 2, generator=SOURCE) * torch.tensor([2.0, 0.5]) + 4
Z = torch.rand(1000, 2, generator=SOURCE) * 6


def few(data, **options):
    """Of sixteen plans at a time, in place of 64: as many rows as are drawn here."""
    return OptimalTransport(data, **{"pool": 16} | options)


def draw(coupling, n=256, steps=16, seed=0):
    return torch.cat([coupling.sample(n, seed=seed, step=step) for step in range(steps)])


def cost(xs, i, j):
    return (xs[:, i] - xs[:, j]).square().sum(1).mean().item()


def test_a_function_of_seed_and_step():
    data = [StandardNormal(), Marginal(X), Marginal(Y)]
    made = [OptimalTransport(data, rows=64, pool=8) for _ in range(2)]
    forward = [made[0].sample(100, seed=3, step=step) for step in range(60)]
    for step in (59, 7, 41, 0):  # Another order, other passes of the pool.
        assert torch.equal(made[1].sample(100, seed=3, step=step), forward[step])
    assert not torch.equal(forward[0], made[1].sample(100, seed=4, step=0))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("entropy", [0.0, 0.02])
def test_every_marginal_keeps_its_law(plan, entropy):
    data = [StandardNormal(), Marginal(X), Marginal(Y), Marginal(Z)]
    xs = draw(few(data, plan=plan, entropy=entropy, reuse=1, pool=8), steps=8)
    for k, x in enumerate((torch.randn(4000, 2), X, Y, Z)):
        found = multisi.metrics.energy_distance(xs[:, k], x)
        assert found < 0.02, (plan, entropy, k)


def test_exact_plans_are_exact():
    """In one dimension the least cost is that of the sorted rows."""
    x, y = X[:, :1], Y[:, :1]
    coupling = OptimalTransport([Marginal(x), Marginal(y)], rows=64)
    rows_x, rows_y, *_ = coupling.solve(0, 0)
    low, high = x[rows_x, 0], y[rows_y, 0]
    assert torch.equal(high[low.argsort()], high.sort().values)


def test_costs_are_those_of_standardised_units():
    """A feature in other units, a thousand times larger, changes no plan."""
    plans = [
        OptimalTransport([Marginal(X * by), Marginal(Y * by)]).solve(0, 0)
        for by in (torch.tensor([1.0, 10.0]), torch.tensor([1.0, 1000.0]))
    ]
    assert (plans[0][1] == plans[1][1]).double().mean() > 0.9  # But for near ties.


def test_plans_beat_independence_and_each_other():
    data = [Marginal(X), Marginal(Y), Marginal(Z)]

    def total(**options):
        xs = draw(few(data, **{"rows": 128} | options), n=128)
        xs = xs / torch.cat([X, Y, Z]).std(0)
        return sum(cost(xs, i, j) for i in range(3) for j in range(i))

    joined, star, swept = total(), total(plan="star"), total(sweeps=2)
    alone = total(rows=2)
    assert swept <= joined * 1.001 and joined <= star * 1.001 and star < 0.85 * alone


def test_entropy_leads_from_exact_to_independent():
    data = [Marginal(X), Marginal(Y)]
    costs = [cost(draw(few(data, entropy=e)), 0, 1) for e in (0.0, 0.05, 1.0, 50.0)]
    assert costs == sorted(costs)
    independent = (X.var(0) + Y.var(0) + (X.mean(0) - Y.mean(0)) ** 2).sum().item()
    assert costs[-1] == pytest.approx(independent, rel=0.05)


def test_rows_are_reused_as_often_as_is_said():
    numbered = Marginal(torch.arange(10**6).double()[:, None])
    coupling = OptimalTransport([numbered, numbered], rows=32, reuse=5, pool=4)
    xs = torch.cat([coupling.sample(20, seed=0, step=step)[:, 0] for step in range(400)])
    counts = xs.unique(return_counts=True)[1]
    assert counts.max() == 5 and counts.double().mean() > 4
    whole = [coupling.sample(20, seed=0, step=step)[:, 0] for step in range(4)]
    assert len(torch.cat(whole).unique()) == 80, "within a pass each row comes once"


def test_more_rows_than_the_pool_holds():
    coupling = OptimalTransport([Marginal(X), Marginal(Y)], rows=16, pool=2)
    assert coupling.sample(100, seed=0, step=3).shape == (100, 2, 2)


def test_labels_meet():
    labels = [(x[:, 0] > x[:, 0].median()).long() for x in (X, Y)]
    data = [Marginal(x, label) for x, label in zip((X, -Y), labels, strict=True)]
    shares = []
    for within in (False, True):
        rows = OptimalTransport(data, labels=within).solve(0, 0)
        met = labels[0][rows[0]] == labels[1][rows[1]]
        shares.append(met.double().mean().item())
    assert shares[0] < 0.3 and shares[1] > 0.9
    with_noise = OptimalTransport([StandardNormal(), *data], labels=True, sweeps=1)
    *rows, _ = with_noise.solve(0, 0)
    met = labels[0][rows[0]] == labels[1][rows[1]]
    assert met.float().mean() > 0.9
    with pytest.raises(DataError, match=r"labels for every dataset; marginals \[1\]"):
        OptimalTransport([data[0], Marginal(Y)], labels=True)


def test_noise_stays_independent_of_the_condition():
    """Plain matching would tell from the condition where the noise is."""
    told = Marginal(X * 3, condition=X[:, :1])
    found = []
    for weight in (0.0, 100.0):
        coupling = few([StandardNormal(), told], condition=weight, reuse=1, noise=True)
        xs = draw(coupling)
        c = torch.cat([coupling.condition(256, seed=0, step=step) for step in range(16)])
        assert torch.allclose(c[:, 0].float(), xs[:, 1, 0] / 3), "conditions stay with their rows"
        found.append(torch.corrcoef(torch.stack([xs[:, 0, 0], c[:, 0]]))[0, 1].item())
    assert found[0] > 0.9 and abs(found[1]) < 0.06


def test_the_score_needs_noise_that_is_left_alone():
    data = [StandardNormal(), Marginal(X), Marginal(Y)]
    assert not OptimalTransport(data, noise=True).noise_independent
    apart = few(data)
    assert apart.noise_independent
    xs = draw(apart)
    assert abs(torch.corrcoef(torch.stack([xs[:, 0, 0], xs[:, 1, 0]]))[0, 1]) < 0.06
    mixed = torch.stack([xs[:, 1], xs[:, 2].roll(1, 0)], 1)
    assert cost(xs, 1, 2) < 0.92 * cost(mixed, 0, 1)


def test_weights_and_images():
    weights = (X[:, 0] > 0).double()
    xs = draw(few([Marginal(X, weights=weights), Marginal(Y)]))
    assert (xs[:, 0, 0] > 0).all()
    images = torch.rand(100, 3, 4, 4)
    coupling = few([StandardNormal(), Marginal(images), Marginal(1 - images)], rows=32)
    assert coupling.sample(50, seed=0, step=0).shape == (50, 3, 3, 4, 4)


def test_constant_features_and_duplicates():
    for x in (torch.zeros(50, 2), torch.ones(50, 2) * 7):
        xs = few([Marginal(x), Marginal(Y)]).sample(9, seed=0, step=0)
        assert xs.isfinite().all()


def test_it_trains_straighter_paths():
    sides = torch.tensor([-3.0, 3.0])[torch.arange(2000) % 2]
    x, y = (torch.stack([sides + X[:, 0], X[:, 1] + up], 1) for up in (0, 3))
    data, held_out = ({"x": x[s], "y": y[s]} for s in (slice(0, 1500), slice(1500, 2000)))
    reports = [
        multisi.fit(
            data, coupling=name, coupling_options=options, steps=400, progress=False
        ).evaluate(held_out)
        for name, options in (("independent", None), ("ot", {"pool": 16}))
    ]
    assert reports[0].mean("npe") > 0.1
    assert reports[1].mean("npe") < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(plan="sun"), "plan must be one of pairs, barycentric, star, chain; got 'sun'"),
        (dict(rows=1), "rows must be an integer of at least 2"),
        (dict(reuse=0), "reuse must be"),
        (dict(pool=0), "pool must be"),
        (dict(entropy=-1), "entropy must be"),
        (dict(sweeps=-1), "sweeps must be"),
        (dict(noise="no"), "noise must be"),
        (dict(labels="yes"), "labels must be"),
        (dict(condition=float("nan")), "condition must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        OptimalTransport([Marginal(X), Marginal(Y)], **options)


def test_images_need_little_memory():
    images = torch.rand(9, 3, 256, 256)
    made = [OptimalTransport([StandardNormal(), Marginal(images)], noise=n) for n in (True, False)]
    assert [coupling._pool.size for coupling in made] == [1, 64]


def monotone(x, y):
    """Whether rows in one dimension are matched in their order, as least cost requires."""
    order = np.lexsort((y, x))  # The same row may be drawn twice.
    return torch.equal(y[order], y.sort().values)


def on_edge(n, k, *ends):
    alpha = torch.zeros(n, k)
    alpha[:, list(ends)] = 1 / len(ends)
    return alpha


def test_each_pair_has_its_own_plan():
    data = [Marginal(X[:, :1]), Marginal(Y[:, :1]), Marginal(-(Z[:, 1:] ** 3))]
    coupling = few(data, plan="pairs", rows=64, pool=1, reuse=1)
    for i, j in itertools.combinations(range(3), 2):
        xs, _ = coupling.sample_at(on_edge(64, 3, i, j), seed=0, step=0)
        assert monotone(xs[:, i, 0], xs[:, j, 0]), (i, j)


def test_points_inside_have_the_joint_plan():
    data = [Marginal(X), Marginal(Y), Marginal(Z)]
    paired, joint = (few(data, plan=plan, rows=64, pool=2) for plan in ("pairs", "barycentric"))
    xs, _ = paired.sample_at(on_edge(64, 3, 0, 1, 2), seed=0, step=0)
    assert torch.equal(xs, joint.sample(64, seed=0, step=0))


def test_pairs_keep_their_plan_above_the_noise_which_is_independent():
    data = [StandardNormal(), Marginal(X[:, :1]), Marginal(Y[:, :1]), Marginal(Z[:, :1])]
    coupling = few(data, rows=64, pool=1, reuse=1)
    assert coupling.noise_independent
    xs, _ = coupling.sample_at(on_edge(64, 4, 0, 1, 3), seed=0, step=0)
    assert monotone(xs[:, 1, 0], xs[:, 3, 0])
    noise = torch.cat(
        [coupling.sample_at(on_edge(64, 4, 0, 2), seed=0, step=s)[0] for s in range(60)]
    )
    assert torch.corrcoef(noise[:, [0, 2], 0].T)[0, 1].abs() < 0.06


def test_matched_noise_has_a_plan_with_each_marginal():
    data = [StandardNormal(), Marginal(X[:, :1]), Marginal(Y[:, :1])]
    coupling = few(data, noise=True, rows=64, pool=1, reuse=1)
    for step, end in enumerate((1, 2)):
        xs, _ = coupling.sample_at(on_edge(64, 3, 0, end), seed=0, step=step)
        assert monotone(xs[:, 0, 0], xs[:, end, 0])


@pytest.mark.parametrize("plan", ["pairs", "barycentric"])
def test_labels_agree_in_every_matched_row(plan):
    data = []
    for x in (X, Y, Z):
        labels = torch.arange(len(x)) % 5
        data.append(Marginal(torch.stack([x[:, 0], labels], 1), labels))
    coupling = few(data, plan=plan, labels=True, rows=64)
    for ends in ((0, 1), (0, 2), (1, 2), (0, 1, 2)):
        xs, _ = coupling.sample_at(on_edge(64, 3, *ends), seed=0, step=0)
        found = xs[:, list(ends), 1]
        assert (found == found[:, :1]).all()


def test_the_condition_of_a_pair_is_that_of_its_row():
    told = torch.arange(3000.0)[:, None]
    data = [Marginal(X), Marginal(Y, condition=told), Marginal(Z)]
    coupling = few(data, plan="pairs", rows=64)
    for ends in ((0, 1), (1, 2)):
        xs, condition = coupling.sample_at(on_edge(64, 3, *ends), seed=0, step=0)
        assert torch.equal(xs[:, 1], Y[condition[:, 0].long()])
    alone, condition = coupling.sample_at(on_edge(64, 3, 0, 2), seed=0, step=0)
    assert condition.shape == (64, 1)
    plain = few([Marginal(X), Marginal(Z)], rows=64)
    assert cost(alone, 0, 2) < 1.5 * cost(plain.sample(64, seed=0, step=0), 0, 1)


def test_streams_cannot_be_matched():
    stream = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X), batch_size=64)
    with pytest.raises(DataError, match="a stream has no fixed rows"):
        OptimalTransport([Marginal(X), Marginal(stream)])


def test_small_datasets_are_matched_as_a_whole():
    coupling = OptimalTransport([Marginal(X[:300]), Marginal(Y[:400])])
    rows_x, rows_y, *_ = coupling.solve(0, 0)
    assert torch.equal(rows_y.sort().values, torch.arange(400))
    assert torch.bincount(rows_x, minlength=300).unique().tolist() == [1, 2]
    assert len(OptimalTransport([Marginal(X), Marginal(Y[:400])]).solve(0, 0)[0]) == 256


def test_rows_are_matched_in_another_space():
    """By the size of the first entry alone, whatever the second says."""
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    y = torch.stack([-x[:, 0], 5 * x[:, 1]], 1)
    data = [Marginal(x), Marginal(y)]
    xs = OptimalTransport(data, embed=lambda rows: rows[:, :1].abs()).sample(100, seed=0, step=0)
    assert (xs[:, 0, 0].abs() - xs[:, 1, 0].abs()).abs().mean() < 0.02
    for options, error, message in (
        (dict(embed=3), ConfigError, "embed must be a function"),
        (
            dict(embed=lambda rows: rows[:5]),
            ShapeError,
            r"one vector per row, shape \(256, .*got \(5, 2\)",
        ),
        (dict(embed=lambda rows: rows[:, 0]), ShapeError, r"got \(256,\)"),
        (dict(embed=lambda rows: rows * float("nan")), DataError, "embed"),
    ):
        with pytest.raises(error, match=message):
            OptimalTransport(data, **options).sample(9, seed=0, step=0)
    with pytest.raises(ConfigError, match="matched in the space of the rows"):
        OptimalTransport([StandardNormal(), *data], embed=torch.abs, noise=True)
