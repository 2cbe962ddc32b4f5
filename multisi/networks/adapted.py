"""Networks of other packages, which know a state and a time, made to know the simplex."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from multisi.common import checks
from multisi.errors import ShapeError


class Adapted(nn.Module):
    r"""A network `(x, t) -> y` of pictures, or `(x, t, y) -> y`, as one with a head per marginal.

    Alpha is told in two ways: as $k$ constant channels after those of the state, and as the time
    $t = 1 - \max_j \alpha_j$, or as what `time` makes of it. The module therefore takes $c + k$
    channels and returns $k\,c$, those of head 0 first. A condition is its third argument.

    Arguments:
        module: The network, for instance a `UNet2DModel` of diffusers or a `SiT`; of an output
            with an attribute `sample`, that is taken.
        marginals: Number of marginals.
        time: Function of `alpha`, `(b, k)`, that gives the times, `(b,)`; many networks want them
            in the range of 0 to 1000.

    Raises:
        ConfigError: `module` is no `torch.nn.Module`, or `marginals` is not an integer above 0.

    Examples:
        >>> class Other(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layer = torch.nn.Conv2d(1 + 3, 3 * 1, 3, padding=1)
        ...     def forward(self, x, t):
        ...         return self.layer(x) * (1 + t.reshape(-1, 1, 1, 1))
        >>> network = Adapted(Other(), marginals=3)
        >>> network(torch.zeros(5, 1, 8, 8), torch.full((5, 3), 1 / 3)).shape
        torch.Size([5, 3, 1, 8, 8])
    """

    def __init__(
        self, module: nn.Module, marginals: int, time: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.module = checks.instance(module, nn.Module, "module")
        self.marginals = checks.integer(marginals, "marginals")
        self.time = time

    def forward(self, x: Tensor, alpha: Tensor, condition: Any = None) -> Tensor:
        """Compute the heads.

        Arguments:
            x: States, shape `(b, channels, height, width)`.
            alpha: Points of the simplex, shape `(b, k)`.
            condition: What the module takes as its third argument; `None` for nothing.

        Returns:
            The heads, shape `(b, k, *event)`.

        Raises:
            ShapeError: states are no pictures, or the module returns another shape than
                `(b, k * channels, height, width)`.
        """
        if x.ndim != 4:
            raise ShapeError(
                f"States must be pictures, (b, channels, height, width); got {tuple(x.shape)}."
            )
        maps = alpha[:, :, None, None].expand(-1, -1, *x.shape[2:])
        time = 1 - alpha.amax(1) if self.time is None else self.time(alpha)
        more = () if condition is None else (condition,)
        found = self.module(torch.cat([x, maps.to(x)], 1), time.to(x), *more)
        found = getattr(found, "sample", found)
        expected = (len(x), self.marginals * x.shape[1], *x.shape[2:])
        if found.shape != expected:
            raise ShapeError(
                f"The module must return all heads, shape {expected}; got {tuple(found.shape)}. "
                "Make it with as many channels as states have, times the number of marginals."
            )
        heads: Tensor = found.reshape(len(x), self.marginals, *x.shape[1:])
        return heads
