"""Faults of learned paths: in files, and in what is asked for."""

import pytest
import torch

import multisi
from multisi.errors import CheckpointError, ConfigError
from multisi.files import checkpoint
from tests.closed_forms import mixtures


def model():
    return multisi.Model(multisi.GaussianMixtureMeans(*mixtures()), ["z", "a", "b"], "z")


@pytest.mark.parametrize(
    "paths",
    [
        3,
        [["a", "b"]],
        [["a", "c", {}]],
        [["a", "b", {"form": "sines"}]],
        [[1, 2, 3]],
        [["a", "b", {"points": [[0, 1, 0], [0, 0, 1]], "corners": [9], "coefficients": [[1]]}]],
        [["a", "b", {"points": [[0, 1], [1, 0]], "corners": [0], "coefficients": [[1], [1]]}]],
    ],
)
def test_path_in_a_file_that_is_none(tmp_path, paths):
    tensors, description = model().parts()
    file = tmp_path / "model.safetensors"
    checkpoint.write(file, tensors, {**description, "paths": paths})
    with pytest.raises(CheckpointError, match="not that of a model"):
        multisi.load(file)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("a", "a"), {}, "the same point, so there is nothing to learn"),
        (("a", "unknown"), {}, "unknown"),
        (("a", "b"), {"grid": 10**7}, r"needs [\d,.]+ GiB; this machine has .* Use a smaller"),
        (("a", "b"), {"corners": "z"}, "corners must be a list"),
        (("a", "b"), {"count": 10**12}, r"states need [\d,.]+ GiB; this machine has"),
        (("a", "b"), {"samples": 3}, "samples must be"),
        (("a", "b"), {"start": 3}, "start must be an instance of Learned"),
    ],
)
def test_path_that_cannot_be_learned(arguments, options, message):
    exact = model()
    with pytest.raises(ConfigError, match=message):
        exact.learn_path(*arguments, progress=False, **options)
    assert not exact.paths


def test_path_that_cannot_be_learned_beyond_doubt():
    """The model is as before: transports take the straight path."""
    exact, x = model(), torch.zeros(1, 2, dtype=torch.float64)
    before = exact.transport(x, "a", "b")
    with pytest.raises(ConfigError, match="form must be"):
        exact.learn_path("a", "b", form="sines")
    assert torch.equal(exact.transport(x, "a", "b"), before)
