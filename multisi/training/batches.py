"""Batches of training: a function of seed and step, from a coupling and a law of points."""

import copy
import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from multisi import registry
from multisi.common import checks, devices, seeds
from multisi.couplings import Coupling
from multisi.couplings.choice import choose
from multisi.data.conditions import Conditions
from multisi.data.marginals import Marginal, StandardNormal
from multisi.data.moments import Moments
from multisi.data.prepare import prepare
from multisi.data.standardiser import Standardiser
from multisi.errors import ConfigError, DataError, MultisiError, ShapeError
from multisi.field.conditional_means import ConditionalMeans, projected_combination
from multisi.field.recipe import means_of
from multisi.model.model import Model
from multisi.training.balance import groups
from multisi.training.objective import Batch
from multisi.training.simplex_law import SimplexLaw

_LOG = logging.getLogger("multisi")
_MANY, _BLUR = 32, 0.45
"""Flattened pictures of so many pixels are blurred by so much in training, where none is noise."""
_TOGETHER = 64
"""Number of steps whose points of the simplex are drawn in one call."""


class Batches:
    """The batches of training; `batches(step)` depends on the arguments and the step alone.

    Arguments:
        marginals: Name to samples `(n, *event)`, `Marginal` or `StandardNormal()`.
        coupling: The joint law of the marginals: a name, a `Coupling` in data units, or
            `"auto"` for what `couplings.choose` chooses.
        coupling_options: Options of a coupling that is given by name.
        law: The law of the simplex points; `SimplexLaw` with the coupling's `ends` by default.
        batch_size: Joint draws per step.
        units: What is standardised together, as for `Standardiser.of`.
        seed: The seed of all random numbers.
        device: A device, or `"auto"`.

    Raises:
        ConfigError: a name is unknown, or an option has an invalid value.
        DataError: samples are invalid, or there are fewer than two marginals.
        ShapeError: samples have different event shapes.
        PluginError: the coupling cannot be loaded.

    Examples:
        >>> x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
        >>> batches = Batches({"a": x, "b": x + 3}, batch_size=16)
        >>> batches(0).x.shape
        torch.Size([16, 2])
    """

    def __init__(
        self,
        marginals: Mapping[str, Any],
        *,
        coupling: str | Coupling = "auto",
        coupling_options: Mapping[str, Any] | None = None,
        law: SimplexLaw | None = None,
        batch_size: int = 256,
        units: str = "auto",
        seed: int = 0,
        device: Any = "auto",
    ) -> None:
        ready = prepare(marginals)
        self.batch_size = checks.integer(batch_size, "batch_size")
        self.seed = seeds.check(seed)
        self.device = devices.choose(device)
        self.names = tuple(ready)
        self.data = [m for m in ready.values() if isinstance(m, Marginal)]
        self.noise = next((n for n, m in ready.items() if isinstance(m, StandardNormal)), None)
        self.event_shape = self.data[0].event_shape
        _check_memory(self.batch_size, len(self.names), self.event_shape)
        self.features = next((m.features for m in self.data if m.features is not None), None)
        self.conditions = Conditions.of(self.data)
        self.standardiser = Standardiser.of(list(ready.values()), units)
        options = checks.options(coupling_options, "coupling_options")
        if options and not isinstance(coupling, str):
            raise ConfigError(
                "coupling_options are only for a coupling that is given by name; got "
                f"coupling={coupling!r}."
            )
        self.choice = None
        if isinstance(coupling, str) and coupling == "auto":
            self.choice = choose(list(ready.values())).given(options)
            coupling, options = self.choice.name, self.choice.options
            _LOG.info("coupling='auto' is %r %s: %s.", coupling, options, self.choice.reason)
        if isinstance(coupling, str) and _find("coupling", coupling).takes("units"):
            options = {"units": units, **options}
        self.coupling = registry.create(
            "coupling", coupling, Coupling, list(ready.values()), **options
        )
        law = SimplexLaw(ends=self.coupling.ends) if law is None else law
        self.law = checks.instance(law, SimplexLaw, "law")
        self.plugins = _records("coupling", coupling)
        self.dtype = torch.float32
        self._points: tuple[int, list[Tensor]] | None = None

    def __call__(self, step: int) -> Batch:
        """The batch of a step, in standardised units, on the device.

        Arguments:
            step: Index of the step, from 0.

        Raises:
            DataError: a row is missing or not finite.
            ShapeError: a row or a draw of the coupling has the wrong shape.
        """
        points, alpha, of_heads, group = self._at(step)
        try:
            xs, condition = self._drawn(points, self.seed, step)
        except (DataError, ShapeError) as error:
            raise type(error)(f"At step {step}: {error}") from error
        return Batch.mixed(xs, alpha, of_heads, condition, group)

    def draws(self, alpha: Tensor, n: int, seed: int) -> tuple[Tensor, Tensor | None]:
        """Joint draws as in training, but others: standardised, and their conditions.

        Arguments:
            alpha: A point of the simplex, shape `(k,)`; couplings may join rows face by face.
            n: Number of draws.
            seed: Seed of the draws.
        """
        return self._drawn(alpha.expand(n, -1), self.seed + seed + 1, 0)

    def _drawn(self, points: Tensor, seed: int, step: int) -> tuple[Tensor, Tensor | None]:
        """What the coupling draws, checked and standardised, on the device."""
        xs, condition = self.coupling.sample_at(points, seed=seed, step=step)
        expected = (len(points), len(self.names), *self.event_shape)
        dense = isinstance(xs, Tensor) and xs.layout == torch.strided and not xs.is_meta
        if not dense or xs.shape != expected or not xs.is_floating_point():
            got = type(xs).__name__
            if isinstance(xs, Tensor):
                got = f"{tuple(xs.shape)}, {xs.dtype}, {xs.layout} on {xs.device}"
            raise ShapeError(
                f"The coupling must draw shape {expected}, floating point and dense; got {got}."
            )
        if condition is not None and self.conditions is not None:
            condition = self.conditions.standardise(condition)
        condition = None if condition is None else condition.to(self.device, self.dtype)
        if xs.dtype == self.dtype:  # Large draws are faster there; others keep their digits.
            xs = xs.to(self.device)
        return self.standardiser.standardise_draws(xs).to(self.device, self.dtype), condition

    def means(self, network: Any = "mlp", /, **options: Any) -> ConditionalMeans:
        """Untrained conditional means; the state of the global generators is restored.

        Arguments:
            network: The name of a network, a module `(x, alpha) -> (b, k, *event)`, or a model
                of the same marginals, whose means, units and conditions are taken.
            options: Options of a network that is given by name.

        Raises:
            ConfigError: an option is invalid, the module cannot be called with `(x, alpha)`, or
                the model has other marginals, features or conditions.
            UnknownPluginError: no network has this name.
        """
        if isinstance(network, Model):
            return self._ready(self._continued(network, options))
        if isinstance(network, str) and (told := self._told()):
            options = {"condition": told, **options}
        if (
            isinstance(network, str)
            and network == "mlp"
            and self.noise is None
            and self._like_pictures()
        ):
            options = {"blur": _BLUR, **options}
        with seeds.global_generators(self.seed, self.device):
            means = means_of(network, options, self.event_shape, len(self.names))
        self.plugins += _records("network", network)
        return self._ready(means, named=isinstance(network, str))

    def _ready(self, means: ConditionalMeans, named: bool = False) -> ConditionalMeans:
        """The means on the device of the run, with its type and its constant features."""
        means = means.to(self.device)
        if named and means.reference.dtype.itemsize < 4:
            means.float()  # The default type of this process is too short to train in.
        means.constants = self.standardiser.constants
        self.dtype, self._points = means.reference.dtype, None
        return means

    def _continued(self, model: Model, options: Mapping[str, Any]) -> ConditionalMeans:
        """A copy of the means of a model, whose units and conditions are those of the run now."""
        if options:
            raise ConfigError("network_options are for new networks; the model has its own.")
        told, own = model.conditions, self.conditions
        for what, theirs, ours in (
            ("marginals", list(model.marginals), list(self.names)),
            ("noise", model.noise, self.noise),
            ("event shape", model.event_shape, self.event_shape),
            ("features", model.features, self.features),
            ("condition features", told and told.features, own and own.features),
            ("size of condition", told and told.size, own and own.size),
        ):
            if theirs != ours:
                raise ConfigError(
                    f"Training can continue from a model of the same {what}: {ours}; its are "
                    f"{theirs}."
                )
        self.standardiser, self.conditions = model.standardiser, model.conditions
        self.plugins += [record for record in model.plugins if record.get("kind") == "network"]
        return copy.deepcopy(model.conditional_means).requires_grad_(True)

    def _like_pictures(self) -> bool:
        """Whether samples are flattened pictures of many pixels."""
        many = len(self.event_shape) == 1 and self.event_shape[0] >= _MANY
        return many and Moments.of(self.data).pictures

    def model(self, means: ConditionalMeans) -> Model:
        """The model of trained means.

        Arguments:
            means: Conditional means of shape `(b, k, *event)`, in standardised units.
        """
        model = Model(
            means,
            self.names,
            self.noise,
            standardiser=self.standardiser,
            noise_independent=self.coupling.noise_independent,
            event_shape=self.event_shape,
            features=self.features,
            conditions=self.conditions,
            plugins=self.plugins,
        )
        model.draws = self.draws
        return model

    def _told(self) -> int:
        """The number of features that a network is told: those of a marginal, or of a coupling."""
        if self.conditions is not None:
            return self.conditions.size
        condition = self.coupling.condition(1, seed=self.seed, step=0)
        return condition.shape[1] if isinstance(condition, Tensor) and condition.ndim == 2 else 0

    def blame(self, step: int) -> str:
        """A sentence that names the marginal with draws that are not finite, or empty text."""
        try:
            xs = self.coupling.sample(self.batch_size, seed=self.seed, step=step)
        except MultisiError as error:
            return f" {error}"
        for name, column in zip(self.names, xs.unbind(1), strict=True):
            if not torch.isfinite(column).all():
                return f" The draws of {name!r} are not finite at step {step}."
        return ""

    def _at(self, step: int) -> list[Tensor]:
        """Points of the simplex, the same on the device, coefficients of the heads, and groups."""
        block, place = divmod(step, _TOGETHER)
        if self._points is None or self._points[0] != block:
            source = seeds.generator(self.seed, block, 1)
            count, noise = _TOGETHER * self.batch_size, self.noise is not None
            alpha, v = self.law.draw(count, self.names, noise, source)
            of_heads = projected_combination(alpha, v)[0]
            ready = (part.to(self.device, self.dtype) for part in (alpha, of_heads))
            self._points = block, [alpha, *ready, groups(alpha, noise).to(self.device)]
        rows = slice(place * self.batch_size, (place + 1) * self.batch_size)
        return [part[rows] for part in self._points[1]]


def _check_memory(batch_size: int, marginals: int, event_shape: tuple[int, ...]) -> None:
    """Refuse batches that the machine cannot hold, before anything is made for them.

    A batch has draws in float32, and points of the simplex in float64, twice and for many steps.
    """
    each = marginals * (4 * math.prod(event_shape) + 16 * _TOGETHER)
    memory = devices.memory()
    if memory is not None and batch_size * each > memory:
        raise ConfigError(
            f"batch_size={batch_size} needs at least {batch_size * each:,} bytes; this machine "
            f"has {memory:,}. Use a smaller batch."
        )


def _records(kind: str, name: Any) -> list[dict[str, str]]:
    return [_find(kind, name).record()] if isinstance(name, str) else []


def _find(kind: str, name: str) -> registry.Plugin:
    return registry.installed().find(kind, name)
