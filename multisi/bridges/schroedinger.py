r"""The Schrödinger bridge between any two of several marginals.

It is the law of paths closest to $\sqrt{2\varepsilon}\,W_t$ with the given marginals at both ends.
Its ends are joined by the entropic plan of $|x - y|^2 / 2$ at $2\varepsilon$, and between them it
is a Brownian bridge: the state at time $t$ is $(1 - t)\,x_i + t\,x_j +
\sqrt{2\varepsilon\,t(1 - t)}\,z$, an interpolant. So its drift is the velocity plus
$\varepsilon$ times the score of a field that is learned with this coupling.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi import noise as noises
from multisi.common import arrays, checks
from multisi.common.printable import shown
from multisi.common.shapes import leading
from multisi.data import StandardNormal
from multisi.data.prepare import prepare
from multisi.data.standardiser import Standardiser
from multisi.errors import ConfigError
from multisi.interpolants import Smoothed
from multisi.model import Model
from multisi.paths import Path
from multisi.training import SimplexLaw, fit

_OWN = ("path", "interpolant", "noise", "grid", "return_path", "via")
"""Options of transports that a bridge sets itself."""
_ROWS = 1024
"""Rows of a plan: those of few rows are biased towards the product of the marginals' laws."""


@dataclass(frozen=True)
class SchroedingerBridge:
    r"""A learned Schrödinger bridge between any two of its marginals.

    Arguments:
        model: The field, with a noise marginal and one scale for all features.
        epsilon: $\varepsilon$ of the reference $\sqrt{2\varepsilon}\,W_t$, in squared data units.

    References:
        Tong et al. Simulation-free Schrödinger bridges via score and flow matching (2023),
        arXiv:2307.03672.
        Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows
        and diffusions (2023), arXiv:2303.08797, section 3.4.
    """

    model: Model
    epsilon: float

    def __post_init__(self) -> None:
        checks.number(self.epsilon, "epsilon", positive=True)
        if checks.instance(self.model, Model, "model").noise is None:
            raise ConfigError("A bridge needs a model with a noise marginal.")
        if self.model.standardiser.scale.numel() > 1:
            raise ConfigError("A bridge needs a model with one scale: fit with units='whole'.")

    def transport(
        self,
        x: Any,
        source: str,
        target: str,
        *,
        times: Any = None,
        flow: bool = False,
        steps: int = 64,
        **options: Any,
    ) -> Any:
        r"""Move samples along the bridge, by its SDE $dx = u\,dt + \sqrt{2\varepsilon}\,dW$.

        Arguments:
            x: Samples of `source`, shape `(b, *event)`, in data units.
            source: Name of the marginal where samples come from.
            target: Name of the marginal where they go.
            times: Increasing times in [0, 1] at which the states are returned, shape `(n,)`;
                `None` for those at the end.
            flow: Use the flow with the same laws at all times instead of the SDE.
            steps: Number of solver steps, besides those that end at one of the times.
            options: Further options of `Model.transport`, such as `seed` and `solver`.

        Returns:
            The kind of array that `x` is, shape `(b, *event)` or `(n, b, *event)`.

        Raises:
            ConfigError: `times` are not increasing in [0, 1], or an option is invalid.
            MultisiError: as for `Model.transport`.
        """
        checks.not_set(options, _OWN, "a bridge")
        names = [name for name in self.model.marginals if name != self.model.noise]
        if source not in names or target not in names or source == target:
            raise ConfigError(
                f"A bridge joins two of {names}; got {shown(source)} and {shown(target)}."
            )
        a = 2 * self.epsilon / self.model.standardiser.scale.item() ** 2
        wanted = torch.empty(0, dtype=torch.float64) if times is None else _checked(times)
        given = self.model.given(x)
        states = self.model.transport(
            given.rows,
            source,
            target,
            path="segment",
            interpolant=Smoothed("sqrt", a=a),
            noise=0.0 if flow else noises.constant(a / 2),
            grid=(grid := _grid(checks.integer(steps, "steps"), wanted)),
            return_path=times is not None,
            **options,
        )
        if times is not None:
            # In data units the noise of a model has the mean of the data; a bridge's has none.
            mean = self.model.standardiser.shift.to(states)
            gamma = leading((a * wanted * (1 - wanted)).sqrt().to(states), states)
            states = states[torch.searchsorted(grid, wanted)] - gamma * mean
        return given.back(states)


def schroedinger(
    marginals: Mapping[str, Any],
    epsilon: float,
    *,
    coupling_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> SchroedingerBridge:
    r"""Learn the Schrödinger bridge between any two marginals.

    Arguments:
        marginals: Name to samples `(n, *event)` or `Marginal`.
        epsilon: $\varepsilon$ of the reference $\sqrt{2\varepsilon}\,W_t$, in squared data units.
        coupling_options: Options of the coupling `ot`, whose plans are entropic here; by default
            of 1024 rows.
        options: Options of `multisi.fit`.

    Returns:
        The bridge.

    Raises:
        ConfigError: `epsilon` is not a number above 0, an option is invalid, or a marginal is
            `StandardNormal()`, whose draws are needed as data here.
        DataError: samples are invalid.
        MultisiError: as for `multisi.fit`.

    References:
        Tong et al. Simulation-free Schrödinger bridges via score and flow matching (2023),
        arXiv:2307.03672.

    Examples:
        >>> a = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
        >>> bridge = schroedinger({"a": a, "b": a + 3}, 0.5, steps=2, progress=False)
        >>> bridge.transport(a, "a", "b", seed=0).shape
        torch.Size([200, 2])
    """
    checks.number(epsilon, "epsilon", positive=True)
    checks.not_set(options, ("coupling", "law", "units"), "schroedinger")
    ready = prepare(marginals)
    if any(isinstance(m, StandardNormal) for m in ready.values()):
        raise ConfigError(
            "The marginals of a bridge are matched as data; give samples of the standard normal."
        )
    scale = Standardiser.of(list(ready.values()), "whole").scale.item()
    paths = [
        _Between(i, j, len(ready) + 1, 2 * epsilon / scale**2)
        for i, j in itertools.combinations(range(1, len(ready) + 1), 2)
    ]
    plans = {"epsilon": epsilon, "rows": _ROWS}
    plans |= checks.options(coupling_options, "coupling_options")
    model = fit(
        {_free(ready): StandardNormal(), **ready},
        coupling="ot",
        coupling_options=plans,
        law=SimplexLaw(edges=0, bows=0, faces=0, paths=1, along=paths),
        units="whole",
        **options,
    )
    return SchroedingerBridge(model, float(epsilon))


def _checked(times: Any) -> Tensor:
    """Times at which states are wanted, float64.

    Raises:
        ConfigError: they are not increasing in [0, 1].
    """
    found = arrays.floats(times, "times").double().cpu().reshape(-1)
    if not len(found) or found.min() < 0 or found.max() > 1 or (found.diff() <= 0).any():
        raise ConfigError(f"times must increase in [0, 1]; got {found.tolist()}.")
    return found


def _grid(steps: int, wanted: Tensor) -> Tensor:
    """The times of the solver, even in the time in which a bridge is smooth, and those wanted."""
    even = torch.sin(math.pi / 2 * torch.linspace(0, 1, steps + 1, dtype=torch.float64)) ** 2
    near = ((even[:, None] - wanted).abs() < 0.1 / steps**2).any(1)
    near[[0, -1]] = False
    even[-1] = 1.0
    return torch.cat([even[~near], wanted[(wanted > 0) & (wanted < 1)]]).sort().values


class _Between(Path):
    r"""The bridge between two marginals on the simplex, at a time in which it is smooth.

    With $t = \sin^2(\pi u / 2)$ the noise $\sqrt{a\,t(1 - t)}$ is $\sqrt a \sin(\pi u) / 2$.
    """

    needs_noise = True

    def __init__(self, source: int, target: int, marginals: int, a: float) -> None:
        self.ends, self.marginals, self.a = (source, target), marginals, a

    def __call__(self, t: Tensor) -> Tensor:
        share = torch.sin(math.pi / 2 * t) ** 2
        noise = math.sqrt(self.a) / 2 * torch.sin(math.pi * t)
        columns = [torch.zeros_like(t)] * self.marginals
        columns[0], columns[self.ends[0]], columns[self.ends[1]] = noise, 1 - share, share
        return torch.stack(columns, -1) / (1 + noise)[..., None]


def _free(names: Mapping[str, Any]) -> str:
    """A name for the noise that no marginal has."""
    return next(name for n in itertools.count() if (name := "noise" + "_" * n) not in names)
