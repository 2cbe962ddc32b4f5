import pytest
import torch

from multisi import training
from multisi.errors import ConfigError, SimplexError
from multisi.paths import Path

NAMES = ["a", "b", "c", "d", "e"]


def draw(law, n=20_000, names=NAMES, noise=False):
    return law.draw(n, names, noise, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("marginals", [2, 3, 5, 20])
def test_the_default(marginals):
    alpha, v = draw(training.SimplexLaw(), names=[str(i) for i in range(marginals)])
    assert torch.allclose(alpha.sum(1), torch.ones(20_000)) and (alpha >= 0).all()
    assert (v.sum(1) == 0).all() and (v.abs().sum(1) == 2).all()
    assert (alpha[v != 0] >= 0).all() and (alpha[v != 0] > 0).double().mean() > 0.999
    edges = ((alpha > 0).sum(1) == 2).double().mean().item()
    assert edges == 1 if marginals == 2 else abs(edges - 0.75) < 0.02
    assert torch.allclose(alpha.mean(0), torch.full((marginals,), 1 / marginals), atol=0.02)


def test_edges_are_uniform_over_directed_pairs():
    alpha, v = draw(training.SimplexLaw(edges=1, faces=0, bows=0))
    pairs = v.argmin(1) * 5 + v.argmax(1)
    counts = torch.bincount(pairs, minlength=25).reshape(5, 5)
    assert (counts.diagonal() == 0).all()
    off = counts[~torch.eye(5, dtype=torch.bool)]
    assert (off - 1000).abs().max() < 5 * 1000**0.5
    t = alpha.gather(1, v.argmax(1, keepdim=True))[:, 0].sort().values
    assert (t - torch.linspace(0, 1, 20_000)).abs().max() < 1.95 / 20_000**0.5


def test_faces_are_of_every_size():
    sizes = (draw(training.SimplexLaw(edges=0, faces=1, bows=0))[0] > 0).sum(1)
    assert torch.allclose(torch.bincount(sizes)[3:] / 20_000, torch.tensor(1 / 3), atol=0.02)


def test_bows_are_for_noise_between_datasets():
    alpha, v = draw(training.SimplexLaw(edges=0, faces=0), noise=True)
    assert ((alpha[:, 1:] > 0).sum(1) == 2).double().mean() > 0.999
    assert 0 < alpha[:, 0].max() <= 0.5 and (v.sum(1).abs() < 1e-5).all()
    assert torch.allclose(alpha.sum(1), torch.ones(20_000))
    share = (draw(training.SimplexLaw(), noise=True)[0][:, 0] > 0).double().mean()
    assert share > (draw(training.SimplexLaw())[0][:, 0] > 0).double().mean()
    with pytest.raises(ConfigError, match="nothing to draw"):
        draw(training.SimplexLaw(edges=0, faces=0))


class Quarter(Path):
    def __call__(self, t):
        half = torch.pi / 2 * t
        zero = torch.zeros_like(t)
        return torch.stack([torch.cos(half) ** 2, torch.sin(half) ** 2, zero, zero, zero], -1)


def test_paths_and_their_tangents():
    law = training.SimplexLaw(edges=0, faces=0, bows=0, along=[("a", "e"), (Quarter())])
    alpha, v = draw(law)
    first = alpha[:, 4] > 0
    assert 0.45 < first.double().mean() < 0.55
    assert torch.equal(v[first], torch.tensor([-1.0, 0, 0, 0, 1]).expand(int(first.sum()), -1))
    there = alpha[~first].double()
    rate = torch.pi * (there[:, 0] * there[:, 1]).clamp_min(0).sqrt()
    assert torch.allclose(v[~first, 1].double(), rate, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(edges=-1), ConfigError, "edges must be a finite number of at least 0; got -1"),
        (dict(edges=0, faces=0, bows=0), ConfigError, "needs a share above zero"),
        (dict(paths=1), ConfigError, "needs paths"),
        (dict(along=[("a", "b")], paths=0), ConfigError, "a share of paths needs paths"),
        (dict(along=["a"]), ConfigError, "paths and pairs of points; got 'a'"),
        (dict(along=[("a", "nobody")]), ConfigError, "along.* 'nobody'.* a, b, c, d, e"),
        (dict(along=[("a", {"b": -1.0})]), SimplexError, "-1"),
    ],
)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        draw(training.SimplexLaw(**options))
