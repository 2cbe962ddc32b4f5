"""What couplings and networks of a user may return, and what is said of it."""

import numpy as np
import pandas as pd
import pytest
import torch

import multisi
from multisi.errors import ConfigError, DataError, ShapeError, TrainingDivergedError

X = torch.randn(60, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
DATA = {"a": X, "b": X + 3}


class Drawn(multisi.Coupling):
    """A coupling that draws whatever a function returns."""

    def __init__(self, draw):
        self.draw = draw

    def sample(self, n, *, seed, step):
        return self.draw(n)


class Detached(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 4, dtype=torch.float32)

    def forward(self, x, alpha):
        return self.layer(torch.cat([x, alpha], 1)).detach().reshape(-1, 2, 2)


def fit(**options):
    return multisi.fit(DATA, **{"steps": 2, "progress": False, "batch_size": 16} | options)


def corrupted(corrupt):
    options = {"made": "a", "of": "b", "corrupt": corrupt}
    return fit(coupling="data-dependent", coupling_options=options)


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda n: np.zeros((n, 2, 2)), ShapeError, "must draw shape .* got ndarray"),
        (
            lambda n: torch.zeros(n, 2, 2).to_sparse(),
            ShapeError,
            r"dense; got .*sparse_coo on cpu",
        ),
        (lambda n: torch.zeros(n, 2, 2, device="meta"), ShapeError, "dense; got .* on meta"),
        (
            lambda n: torch.full((n, 2, 2), torch.nan),
            TrainingDivergedError,
            "first batch has NaN or infinity. The draws of 'a' are not finite at step 0",
        ),
    ],
)
def test_coupling_answers_otherwise(draw, error, message):
    with pytest.raises(error, match=message):
        fit(coupling=Drawn(draw))


def test_coupling_answers_otherwise_by_its_map():
    assert corrupted(lambda x, source: (x / 2).numpy()).marginals == ("a", "b")
    assert corrupted(lambda x, source: (x / 2).tolist()).marginals == ("a", "b")
    with pytest.raises(DataError, match="At step 0: The result of corrupt must be an array"):
        corrupted(lambda x, source: None)
    with pytest.raises(ShapeError, match="corrupt must keep shape"):
        corrupted(lambda x, source: x[:, :1])


def test_network_answers_otherwise_without_gradients():
    with pytest.raises(ConfigError, match="depend on its parameters; these have no gradients"):
        fit(network=Detached())


def test_bad_row_numbers_that_are_no_numbers():
    model = fit()
    with pytest.raises(ConfigError, match=r"one integer per row.* got torch\.bool"):
        model.transport(X, "a", "b", rows=[True] * len(X))


def test_bad_times_unlike_a_series():
    times = pd.Series([0.0, 0.5, 1.0], index=[3, 4, 5])
    model = fit()
    assert torch.equal(
        model.transport(X, "a", "b", grid=times), model.transport(X, "a", "b", grid=list(times))
    )
