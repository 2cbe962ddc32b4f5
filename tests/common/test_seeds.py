import torch
from torch import nn

from multisi.common import seeds


def test_fresh_weights_leave_global_generators_alone():
    def draw():
        layers = [nn.Linear(3, 3), nn.Conv2d(1, 2, 3), nn.Embedding(3, 3), nn.GRU(2, 2)]
        layers += [nn.TransformerEncoderLayer(8, 2), nn.Bilinear(2, 2, 2)]
        nn.init.orthogonal_(torch.empty(3, 3))
        torch.normal(torch.zeros(3), 1.0), torch.randperm(3), torch.rand(3).normal_()
        return torch.randn_like(torch.rand(3)), torch.randn(3, dtype=torch.float64)

    before = torch.get_rng_state()
    with seeds.FreshWeights():
        like, alone = draw()
    assert torch.equal(torch.get_rng_state(), before)
    assert like.std() > 0 and alone.dtype == torch.float64
    draw()
    assert not torch.equal(torch.get_rng_state(), before)
