"""Slopes of curves as functions of the state: means over neighbours."""

import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.trajectories.chain import Chain
from multisi.trajectories.curves import slope_weights

_NEIGHBOURS = 100
"""Rows whose slopes are averaged."""
_DRAWS, _PART = 5, 1024
"""Chains for each row, and rows whose distances are held at once."""


def slopes(chain: Chain, seed: int = 0) -> list[Tensor]:
    r"""The slope at each row of each snapshot, float32, shape `(n, d)`.

    The slope of the natural cubic spline through rows that were matched has the noise of all of
    them. So it is averaged over draws of the chain and over the nearest rows: it becomes a
    function of the state, as a velocity is. Times are those from 0 to 1.

    Arguments:
        chain: The chain.
        seed: Seed of the draws.
    """
    x = chain.snapshots.samples
    count = _DRAWS * max(map(len, x))
    rows = chain.rows(count, generator(seed, 17))
    drawn = torch.stack([part[i] for part, i in zip(x, rows.unbind(1), strict=True)], 1)
    found = []
    for part, i, weights in zip(
        x, rows.unbind(1), slope_weights(chain.snapshots.places.tolist()), strict=True
    ):
        each = torch.einsum("k,nkd->nd", weights, drawn)
        total = torch.zeros_like(part).index_add_(0, i, each)
        often = torch.zeros(len(part), dtype=part.dtype).index_add_(
            0, i, torch.ones(len(i)).to(part)
        )
        found.append(_smoothed(part, total, often).float())
    return found


def _smoothed(x: Tensor, total: Tensor, often: Tensor) -> Tensor:
    """Sums over the nearest rows that were drawn, divided by how often they were."""
    seen = (often > 0).nonzero()[:, 0]
    known, parts = x[seen].float(), []
    for part in torch.split(x.float(), _PART):
        near = torch.cdist(part, known).topk(min(_NEIGHBOURS, len(seen)), largest=False).indices
        chosen = seen[near]
        parts.append(total[chosen].sum(1) / often[chosen].sum(1, keepdim=True))
    return torch.cat(parts)
