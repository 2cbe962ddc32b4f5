"""The checks of couplings."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi.couplings import Coupling
from multisi.data.marginals import AnyMarginal, Marginal, StandardNormal
from multisi.testing.battery import (
    Battery,
    demand,
    demand_kind,
    factory_of,
    numbers,
    same_generators,
)

_DRAWS, _STEPS = 200, 40
_SIGMAS = 5.0


@dataclass(frozen=True)
class Subject:
    """A coupling to check: its factory, and the numbers of rows of its datasets."""

    factory: Callable[..., Any]
    counts: tuple[int, int]

    def data(self) -> list[AnyMarginal]:
        """The noise, and two datasets in the plane with labels, weights and a condition."""
        found: list[AnyMarginal] = [StandardNormal()]
        for i, n in enumerate(self.counts):
            source = torch.Generator().manual_seed(i)
            x = torch.randn((n, 2), generator=source) * (1 + i) + 3 * i
            condition = x[:, :1] if i else None
            found.append(Marginal(x, torch.arange(n) % 3, self.weights(i), condition))
        return found

    def weights(self, i: int) -> Tensor:
        """The weights of a dataset, which depend on its number of rows only."""
        return 0.5 + torch.arange(self.counts[i]) / self.counts[i]

    def make(self) -> Any:
        """The coupling of these marginals."""
        return self.factory(self.data())

    def draws(self) -> Tensor:
        """Many draws, every second one for points between the datasets, shape `(n, 3, 2)`."""
        made, alpha = self.make(), torch.tensor([[0.0, 0.5, 0.5]]).repeat(_DRAWS, 1)
        found = []
        for step in range(0, _STEPS, 2):
            found.append(made.sample(_DRAWS, seed=7, step=step))
            found.append(made.sample_at(alpha, seed=7, step=step + 1)[0])
        return torch.cat(found)


COUPLING: Battery[Subject] = Battery("coupling")


def check_coupling(
    factory: Any,
    *,
    counts: tuple[int, int] = (90, 60),
    skip: Collection[str] = (),
    **options: Any,
) -> None:
    """Check a coupling against its contract.

    Arguments:
        factory: The class, another factory `(marginals, **options)`, or the registered name. It
            is called with the noise and two datasets in the plane, with labels and weights.
        counts: Numbers of rows of the two datasets; equal for couplings of paired rows.
        skip: Names of checks to skip, such as `laws` if the coupling changes the laws on purpose.
        options: Options of the factory.

    Raises:
        ConformanceError: the coupling fails a check; the error lists all failed checks.
        ConfigError: `factory` is neither callable nor a name, or `skip` names an unknown check.
        UnknownPluginError: no plugin, or more than one, has the name.

    Examples:
        >>> check_coupling("paired", counts=(60, 60))
    """
    COUPLING.run(factory, Subject(factory_of("coupling", factory, options), counts), skip)


@COUPLING.check
def coupling(subject: Subject) -> None:
    """The factory creates a `Coupling`."""
    demand_kind(subject.make(), Coupling, "multisi.Coupling")


@COUPLING.check
def shape(subject: Subject) -> None:
    """`sample` gives the requested number of joint draws, shape `(n, k, *event)`."""
    for n in (1, 7, 100):
        xs = subject.make().sample(n, seed=0, step=0)
        got = tuple(xs.shape) if isinstance(xs, Tensor) else type(xs).__name__
        demand(got == (n, 3, 2), f"expected shape ({n}, 3, 2); got {got}.")


@COUPLING.check
def events(subject: Subject) -> None:
    """Samples may have any event shape."""
    data: Sequence[AnyMarginal] = [
        Marginal(m.samples.repeat(1, 6).reshape(-1, 3, 2, 2), m.labels)
        for m in subject.data()
        if isinstance(m, Marginal)
    ]
    got = tuple(subject.factory(data).sample(5, seed=0, step=0).shape)
    demand(got == (5, 2, 3, 2, 2), f"expected shape (5, 2, 3, 2, 2) for images; got {got}.")


@COUPLING.check
def finite(subject: Subject) -> None:
    """Draws are finite floating-point numbers."""
    xs = subject.make().sample(50, seed=0, step=0)
    good = xs.is_floating_point() and torch.isfinite(xs).all()
    demand(good, f"draws must be finite floating-point numbers; got {numbers(xs)}, {xs.dtype}.")


@COUPLING.check
def repeatable(subject: Subject) -> None:
    """A draw is a function of seed and step, independent of earlier draws."""
    one, two = subject.make(), subject.make()
    for step in (3, 0, 2):
        one.sample(9, seed=1, step=step)
    same = torch.equal(one.sample(20, seed=0, step=5), two.sample(20, seed=0, step=5))
    demand(same, "sample(n, seed, step) must not depend on earlier draws.")


@COUPLING.check
def changing(subject: Subject) -> None:
    """Another step or another seed gives another draw."""
    made = subject.make()
    first = made.sample(20, seed=0, step=0)
    for what, other in (("step", {"seed": 0, "step": 1}), ("seed", {"seed": 1, "step": 0})):
        differ = not torch.equal(first, made.sample(20, **other))
        demand(differ, f"another {what} must give another draw.")


@COUPLING.check
def generators(subject: Subject) -> None:
    """No global generator is used."""
    made = subject.make()
    same = same_generators(lambda: made.sample(20, seed=0, step=0))
    demand(same, "must draw from its own generator, created from seed and step.")


@COUPLING.check
def untouched(subject: Subject) -> None:
    """The samples of the marginals are not changed, even if a draw is changed in place."""
    data = subject.data()
    subject.factory(data).sample(100, seed=0, step=0).add_(1.0)
    for mine, fresh in zip(data[1:], subject.data()[1:], strict=True):
        same = torch.equal(mine.samples, fresh.samples)  # type: ignore[union-attr]
        demand(same, "must not change the samples of a marginal, or return views of them.")


@COUPLING.check
def laws(subject: Subject) -> None:
    """Each marginal keeps its law, including weights; the noise stays standard normal."""
    xs = subject.draws().double()
    for k, marginal in enumerate(subject.data()):
        if isinstance(marginal, Marginal):
            samples = marginal.samples.double()
            share = subject.weights(k - 1)[:, None].double() / subject.weights(k - 1).sum()
        else:
            samples = torch.tensor([[1.0], [-1.0]]).double().expand(2, 2)
            share = torch.full((2, 1), 0.5).double()
        for what, power in (("mean", 1), ("second moment", 2)):
            expected = (share * samples**power).sum(0)
            drawn = xs[:, k] ** power
            spread = drawn.reshape(_STEPS, _DRAWS, 2).mean(1).std(0) / _STEPS**0.5
            far = (drawn.mean(0) - expected).abs() > _SIGMAS * spread.clamp_min(1e-3)
            demand(
                not far.any(),
                f"marginal {k} must keep its law, including weights; the {what} of the draws must "
                f"be {numbers(expected)}; got {numbers(drawn.mean(0))}.",
            )


@COUPLING.check
def independence(subject: Subject) -> None:
    """The noise is independent of the data, unless `noise_independent` is False."""
    if not subject.make().noise_independent:
        return
    xs = subject.draws().double()
    found = torch.corrcoef(torch.cat([xs.flatten(1), (xs[:, 0] ** 2)], 1).T)
    worst = found[2:6][:, [0, 1, 6, 7]].abs().max().item()
    demand(
        worst <= _SIGMAS / len(xs) ** 0.5,
        f"the noise must be independent of the data; the largest correlation is {worst:.3f}. Set "
        "noise_independent = False if this is intended; then there is no score.",
    )


@COUPLING.check
def condition(subject: Subject) -> None:
    """The condition, if any, belongs to the rows of the same draw."""
    made = subject.make()
    found = made.condition(20, seed=3, step=4)
    if found is not None:
        xs = made.sample(20, seed=3, step=4)
        good = found.shape == (20, 1) and torch.allclose(found, xs[:, 2, :1].to(found))
        demand(good, "condition(n, seed, step) must belong to the rows of the same draw.")
