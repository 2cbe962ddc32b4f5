"""`fit`: learn trajectories through snapshots."""

from typing import Any

import torch

from multisi import training
from multisi.common import checks, seeds
from multisi.common.seeds import generator
from multisi.data.marginals import AnyMarginal, Marginal, StandardNormal
from multisi.errors import ConfigError
from multisi.trajectories.chain import Chain
from multisi.trajectories.choice import choose, with_spread
from multisi.trajectories.conditioned import Conditioned
from multisi.trajectories.coupling import Curved, names_of
from multisi.trajectories.curves import Curve
from multisi.trajectories.groups import Group, groups, masses_within
from multisi.trajectories.growing import Growing
from multisi.trajectories.growth import Growth, gains, learn
from multisi.trajectories.motion import BOW, NOISE
from multisi.trajectories.slopes import slopes
from multisi.trajectories.snapshots import Snapshots, read
from multisi.trajectories.trajectory import Trajectory

_ROWS = 4096
"""Control points that show their scale."""


def fit(
    snapshots: Any,
    *,
    time: str | None = None,
    embedding: str | None = None,
    label: str | None = None,
    weight: str | None = None,
    condition: Any = None,
    bend: float | str = "auto",
    spread: float | str = "auto",
    masses: Any = None,
    score: bool = False,
    seed: int = 0,
    **options: Any,
) -> Trajectory:
    r"""Learn trajectories through snapshots, and the law at every time between.

    Rows of neighbouring times are matched by optimal transport, and chains of matched rows are
    joined by cubic curves. A curve is a path on the simplex whose corners are the snapshots and
    control points, so that the field over it is learned as any other.

    Arguments:
        snapshots: A mapping of time to samples `(n, d)` or `Marginal`, a DataFrame or an AnnData,
            as for `read`.
        time: The column of times of a table or an AnnData.
        embedding: The key in `obsm` of an AnnData; `None` for `X_pca`.
        label: A column of labels, which `ancestors` and `descendants` count.
        weight: A column of weights.
        condition: A column of numbers or names, such as a dose or a perturbation, or a list of
            columns of numbers, as for `read`. Rows are matched within a condition, and `sample`,
            `law` and `velocity` take one.
        bend: 0 for straight lines from time to time, 1 for curves with the slopes of natural
            cubic splines, averaged over neighbours, or `"auto"`: what passes best the snapshots
            that are left out in turn.
        spread: How much of the covariance that is lost halfway between matched rows is made up
            for by noise, from 0 to 1, or `"auto"`, chosen with the bend.
        masses: A mapping of time to the total mass of its snapshot, or `"counts"`: their numbers
            of rows; with conditions a mapping of each to one of them, or `"counts"`. Then growth
            and death are learned too; `None` keeps mass, and explains all by motion.
        score: Learn the score as well, for transport with noise.
        seed: The seed of all random numbers.
        options: Options of `multisi.fit`, such as `max_seconds` and `steps`.

    Returns:
        The trajectory.

    Raises:
        ConfigError: a column, a key or an option is unknown, or POT is not installed.
        DataError: times or samples are invalid.
        ShapeError: samples have different numbers of features.

    References:
        Rohbeck et al. Modeling complex system dynamics with flow matching across time and
        conditions (2025), for splines through chained optimal transport.

    Examples:
        >>> source = torch.Generator().manual_seed(0)
        >>> x = torch.randn(3, 99, 2, generator=source)
        >>> found = fit({0: x[0], 1: x[1] + 2, 3: x[2] + 3}, steps=2, progress=False)
        >>> found.law(0.5, 10, seed=0).shape
        torch.Size([10, 2])
    """
    known = read(
        snapshots, time=time, embedding=embedding, label=label, weight=weight, condition=condition
    )
    checks.not_set(options, ("coupling", "coupling_options", "law"), "trajectories.fit")
    seed, kinds = seeds.check(seed), groups(known)
    checks.instance(score, bool, "score")
    weighed = [] if masses is None else masses_within(masses, kinds)
    bend, spread = _chosen(known, bend, spread, seed)
    growth = {k.key: learn(k.snapshots, m, seed) for k, m in zip(kinds, weighed, strict=False)}
    parts = [_coupled(k, growth.get(k.key), bend, spread, score, seed) for k in kinds]
    coupling = parts[0] if kinds[0].condition is None else _conditioned(parts, kinds)
    law = training.SimplexLaw(edges=0, bows=0, faces=0, paths=1, along=_paths(known, score))
    marginals = _marginals(known, coupling, seed)
    if score:
        marginals = {NOISE: StandardNormal(), **marginals}
    model = training.fit(marginals, coupling=coupling, law=law, seed=seed, **options)
    model.card["trajectory"] = {
        "times": list(known.times),
        "origin": known.origin,
        "conditions": [] if kinds[0].condition is None else list(known.conditions),
        "grown": [list(condition) for condition in growth],
        "bend": bend,
        "spread": spread,
    }
    return Trajectory(model, known, growth)


def _coupled(
    group: Group, growth: Growth | None, bend: float, spread: float, score: bool, seed: int
) -> Curved:
    """The curves through rows that belong together, with growth if there is any."""
    known = group.snapshots
    kind, gained = (Curved, None) if growth is None else (Growing, gains(growth, known))
    chain = Chain.of(known, seed, gained)
    return with_spread(kind(chain, slopes(chain, seed), bend, noise=score), bend, spread)


def _conditioned(parts: list[Curved], kinds: list[Group]) -> Conditioned:
    """The couplings of all conditions as one."""
    conditions = torch.stack([kind.condition for kind in kinds if kind.condition is not None])
    return Conditioned(parts, conditions, torch.tensor([kind.share for kind in kinds]).double())


def _chosen(
    known: Snapshots, bend: float | str, spread: float | str, seed: int
) -> tuple[float, float]:
    """The bend and the spread, chosen where they are `"auto"`."""
    auto: tuple[float | None, float | None] = (None, None)
    if "auto" in (bend, spread):
        auto = choose(known, seed)
    given = []
    for what, value, best in (("bend", bend, auto[0]), ("spread", spread, auto[1])):
        found = best if value == "auto" else checks.number(value, what)
        if found is None or found > 1:
            raise ConfigError(f"{what} must be a number from 0 to 1, or 'auto'; got {value!r}.")
        given.append(found)
    return given[0], given[1]


def _paths(known: Snapshots, score: bool) -> list[Curve]:
    """A path for each two neighbours, so that short intervals count as much as long ones."""
    pairs = list(zip(known.times, known.times[1:], strict=False))
    if not score:
        return [Curve(known.times, a, b) for a, b in pairs]
    return [Curve(known.times, a, b, bow) for bow in (0.0, BOW) for a, b in pairs]


def _marginals(
    known: Snapshots, coupling: Curved | Conditioned, seed: int
) -> dict[str, AnyMarginal]:
    """The snapshots, and draws of the control points."""
    drawn = coupling.curves(_ROWS, generator(seed, 14))[:, len(known.times) :]
    parts = [*known.marginals, *(Marginal(x) for x in drawn.unbind(1))]
    names = known.marginals[0].features
    first = next((m for m in known.marginals if m.condition is not None), None)
    named: list[AnyMarginal] = []
    for part in parts:
        rows = part.take(torch.arange(len(part))).float()
        told = part.condition if part is first else None  # One marginal has the conditions.
        named.append(Marginal(rows, weights=part.weights, condition=told, features=names))
    return dict(zip(names_of(known.times), named, strict=True))
