"""Couplings by optimal transport between minibatches, solved by POT, for any number of marginals.

The first dataset is the hub: the rows of every other dataset are matched with its rows. The noise
marginal, if there is one, is independent, so that the score exists.
"""

import numpy as np
import torch

import multisi
from multisi.errors import ConfigError, ShapeError


class MinibatchOT(multisi.Coupling):
    r"""Rows are matched by plans $P^k$ between a batch of the hub and one of each other dataset.

    A row $i$ of the hub is drawn in proportion to its mass in the plans, and its partner $j$ in
    dataset $k$ with probability $P^k_{ij} / \sum_j P^k_{ij}$. The cost is the squared distance
    divided by its mean.

    Arguments:
        marginals: The marginals in order.
        batch: Number of rows of each dataset per plan; by default the number of draws.

    Raises:
        ConfigError: `batch` is not an integer of at least 2.

    References:
        Tong et al. Improving and generalizing flow-based generative models with minibatch optimal
        transport (2023), arXiv:2302.00482.
    """

    def __init__(self, marginals, batch=None):
        self.marginals, self.batch = marginals, batch
        self.data = [m for m in marginals if isinstance(m, multisi.Marginal)]
        if batch is not None and not (isinstance(batch, int) and batch > 1):
            raise ConfigError(f"batch must be an integer of at least 2; got {batch!r}.")

    def plan(self, cost):
        """The plan for costs with mean one, shape `(n, n)`; the plan has the same shape."""
        raise NotImplementedError

    def sample(self, n, *, seed, step):
        """`n` joint draws, shape `(n, k, *event)`: a function of seed and step only."""
        random = np.random.default_rng((seed, step))
        rows = iter(self._rows(n, random))
        event = self.data[0].samples.shape[1:]
        columns = [
            m.samples[next(rows)]
            if isinstance(m, multisi.Marginal)
            else torch.from_numpy(random.standard_normal((n, *event), dtype=np.float32))
            for m in self.marginals
        ]
        return torch.stack([column.to(self.data[0].samples.dtype) for column in columns], 1)

    def condition(self, n, *, seed, step):
        """The condition of the rows of the same draw, shape `(n, c)`, if a dataset has one."""
        if all(m.condition is None for m in self.data):
            return None
        rows = self._rows(n, np.random.default_rng((seed, step)))
        return next(
            m.condition[i] for m, i in zip(self.data, rows, strict=True) if m.condition is not None
        )

    def _rows(self, n, random):
        """The indices of the drawn rows of each dataset, each of shape `(n,)`."""
        size = max(2, self.batch or n)
        batches = [torch.from_numpy(random.choice(len(m), size, p=_shares(m))) for m in self.data]
        hub, *others = (
            m.samples[i].double().flatten(1) for m, i in zip(self.data, batches, strict=True)
        )
        plans = [self._checked(_cost(hub, other)) for other in others]
        mass = np.mean([plan.sum(1) for plan in plans], 0) if plans else np.ones(size)
        if self.batch or not np.allclose(mass, mass[0]):
            chosen = random.choice(size, n, p=mass / mass.sum())
        else:
            chosen = np.arange(n) % size
        places = [chosen]
        for plan in plans:
            cumulative = plan[chosen].cumsum(1)
            point = random.random((n, 1)) * cumulative[:, -1:]
            places.append((cumulative <= point).sum(1).clip(max=size - 1))
        return [batch[place] for batch, place in zip(batches, places, strict=True)]

    def _checked(self, cost):
        plan = np.asarray(self.plan(cost))
        if plan.shape != cost.shape or not np.isfinite(plan).all() or not plan.sum() > 0:
            raise ShapeError(
                f"{type(self).__name__} found no plan: expected finite masses of shape "
                f"{cost.shape} with a positive sum; got shape {plan.shape}, sum {plan.sum():.3g}. "
                "Increase the regularisation."
            )
        # Avoids division by zero. Partners of a row without mass do not matter: it is never drawn.
        return plan + 1e-300


class Entropic(MinibatchOT):
    r"""Entropic optimal transport: $\min_P \langle P, c \rangle - \epsilon H(P)$; laws are kept.

    Arguments:
        marginals: The marginals in order.
        epsilon: The entropic regularisation, in units of the mean cost.
        batch: Number of rows of each dataset per plan; by default the number of draws.

    Raises:
        ConfigError: `epsilon` is not a finite number above 0, or `batch` is not an integer of at
            least 2.
    """

    def __init__(self, marginals, epsilon=0.05, batch=None):
        super().__init__(marginals, batch)
        self.epsilon = _positive(epsilon, "epsilon")

    def plan(self, cost):
        """The plan of Sinkhorn's algorithm in the log domain."""
        import ot

        even = np.full(len(cost), 1 / len(cost))
        options = {"method": "sinkhorn_log", "numItermax": 5000, "warn": False}
        return ot.sinkhorn(even, even, cost, self.epsilon, **options)


class Unbalanced(MinibatchOT):
    r"""Unbalanced optimal transport: a KL penalty lets rows far from all others lose mass.

    The laws of the marginals change on purpose: outliers are drawn less often.

    Arguments:
        marginals: The marginals in order.
        penalty: Weight of the KL divergence of the masses, in units of the mean cost.
        epsilon: The entropic regularisation, in units of the mean cost.
        batch: Number of rows of each dataset per plan; by default the number of draws.

    Raises:
        ConfigError: `penalty` or `epsilon` is not a finite number above 0, or `batch` is not an
            integer of at least 2.
    """

    def __init__(self, marginals, penalty=1.0, epsilon=0.05, batch=None):
        super().__init__(marginals, batch)
        self.penalty, self.epsilon = _positive(penalty, "penalty"), _positive(epsilon, "epsilon")

    def plan(self, cost):
        """The plan of Sinkhorn's algorithm with soft constraints on the masses."""
        import ot

        even = np.full(len(cost), 1 / len(cost))
        # At higher costs the mass underflows float64.
        cost = np.minimum(cost, 500 * self.epsilon)
        return ot.unbalanced.sinkhorn_unbalanced(
            even, even, cost, self.epsilon, self.penalty, numItermax=5000
        )


class Partial(MinibatchOT):
    r"""Partial optimal transport: only the share of the mass that is cheapest to match is matched.

    The laws of the marginals change on purpose: the rows that are hardest to match are left out.

    Arguments:
        marginals: The marginals in order.
        mass: The share of the mass that is matched, in (0, 1].
        batch: Number of rows of each dataset per plan; by default the number of draws.

    Raises:
        ConfigError: `mass` is not above 0 and at most 1, or `batch` is not an integer of at least
            2.
    """

    def __init__(self, marginals, mass=0.9, batch=None):
        super().__init__(marginals, batch)
        if not 0 < mass <= 1:
            raise ConfigError(f"mass must be above 0 and at most 1; got {mass!r}.")
        self.mass = mass

    def plan(self, cost):
        """The exact partial plan."""
        import ot

        even = np.full(len(cost), 1 / len(cost))
        return ot.partial.partial_wasserstein(even, even, cost, m=self.mass)


def _positive(value, name):
    if not (isinstance(value, int | float) and 0 < value < float("inf")):
        raise ConfigError(f"{name} must be a finite number above 0; got {value!r}.")
    return float(value)


def _shares(marginal):
    """The probability with which each row is drawn; `None` if all are equal."""
    if marginal.weights is None:
        return None
    weights = marginal.weights.numpy()
    return weights / weights.sum()


def _cost(x, y):
    cost = torch.cdist(x, y).square().numpy()
    return cost / max(cost.mean(), 1e-300)


@multisi.hookimpl
def multisi_register_couplings():
    """The couplings of this package."""
    return {"pot-entropic": Entropic, "pot-unbalanced": Unbalanced, "pot-partial": Partial}
