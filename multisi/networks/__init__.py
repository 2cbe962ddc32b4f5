"""Networks: one forward pass gives the conditional means of all marginals."""

from multisi.networks.mlp import MLP as MLP
