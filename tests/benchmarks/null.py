"""A network that does nothing, which leaves the overhead of a network call."""

import torch


class Null(torch.nn.Module):
    """Heads of zero, at no cost."""

    def __init__(self):
        super().__init__()
        self.register_buffer("heads", torch.zeros(1, 3, 2))

    def forward(self, x, alpha):
        return self.heads
