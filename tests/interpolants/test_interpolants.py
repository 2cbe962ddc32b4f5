import torch

from multisi.interpolants.barycentric import Barycentric


def test_barycentric_weights_are_the_point():
    alpha = torch.rand(5, 3)
    assert torch.equal(Barycentric().weights(alpha), alpha)
    assert torch.equal(Barycentric().weights(torch.eye(3)), torch.eye(3))
