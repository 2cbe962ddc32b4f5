import logging

import pytest
import torch

import multisi
from multisi import Marginal, StandardNormal
from multisi.couplings import OptimalTransport, choose

X = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(50) % 3


def stream(x):
    return Marginal(torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=9))


@pytest.mark.parametrize(
    ("marginals", "name", "options"),
    [
        ([Marginal(X), Marginal(X)], "ot", {}),
        ([StandardNormal(), Marginal(X), Marginal(X)], "ot", {}),
        ([Marginal(X, LABELS), Marginal(X, LABELS)], "ot", {"labels": True}),
        ([Marginal(X, LABELS), Marginal(X)], "ot", {}),
        ([Marginal(X, LABELS), Marginal(X, LABELS + 3)], "ot", {}),
        ([Marginal(X, LABELS, (LABELS > 0).float()), Marginal(X, LABELS * 0)], "ot", {}),
        ([StandardNormal(), Marginal(X)], "independent", {}),
        ([Marginal(X), stream(X)], "independent", {}),
        ([Marginal(torch.zeros(2, 1, 1).expand(2, 400, 400))] * 2, "independent", {}),
    ],
    ids=["data", "noise", "labels", "some", "others", "weights", "one", "stream", "large"],
)
def test_the_choice(marginals, name, options):
    found = choose(marginals)
    assert (found.name, found.options) == (name, options)
    assert found.reason


def test_the_choice_is_in_the_log_and_on_the_card(caplog):
    with caplog.at_level(logging.INFO, "multisi"):
        model = multisi.fit({"a": X, "b": X + 3}, steps=2, progress=False)
    assert "coupling='auto' is 'ot' {}: rows can be matched." in caplog.text
    expected = {"name": "ot", "options": {}, "reason": "rows can be matched"}
    assert model.card["training"]["coupling"] == expected
    assert [plugin["name"] for plugin in model.plugins] == ["ot", "mlp"]


def test_a_plain_call_has_flows_and_sdes():
    data = {"noise": StandardNormal(), "a": X, "b": X + 3}
    model = multisi.fit(data, steps=2, progress=False)
    assert model.transport(X, "a", "b", noise=0.5, seed=0).shape == X.shape


def test_options_are_those_of_the_choice():
    batches = multisi.training.Batches({"a": X, "b": X}, coupling_options={"plan": "star"})
    assert isinstance(batches.coupling, OptimalTransport)
    model = multisi.fit({"a": X, "b": X + 3}, coupling="ot", steps=2, progress=False)
    assert "coupling" not in model.card["training"]
