import pytest
import torch

import multisi
from multisi.errors import ConfigError
from multisi.geometry import simplex_picture
from tests.closed_forms import mixtures, sample_mixture


def model(d=2):
    return multisi.Model(multisi.GaussianMixtureMeans(*mixtures(d=d)), ["z", "$a$", "b"], "z")


def test_paths_and_laws_in_every_format():
    exact = model()
    x = sample_mixture(*(p[1] for p in mixtures(d=2)), 300, 0)
    exact.learn_path("$a$", "b", grid=4, count=50, most=3, progress=False)
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "jpg": b"\xff\xd8"}
    for format, start in starts.items():
        found = simplex_picture(exact, [("$a$", "b"), ("z", "b")], samples=x, format=format)
        assert found.startswith(start)
    assert simplex_picture(exact, [("$a$", "b")], count=20) != simplex_picture(
        exact, [("z", "b")], count=20
    )


def test_what_cannot_be_drawn():
    for pairs in ([], ["$a$"], [("z", "$a$", "b")], [3]):
        with pytest.raises(ConfigError, match="at least one pair"):
            simplex_picture(model(), pairs)
    with pytest.raises(ConfigError, match="model must"):
        simplex_picture("model", [("$a$", "b")])
    with pytest.raises(ConfigError, match="no marginal is named 'c'"):
        simplex_picture(model(), [("$a$", "c")])
    with pytest.raises(ConfigError, match="format must be"):
        simplex_picture(model(), [("$a$", "b")], count=20, format="bmp")
    with pytest.raises(ConfigError, match="samples have one"):
        simplex_picture(model(d=1), [("$a$", "b")], samples=torch.zeros(9, 1).double())
