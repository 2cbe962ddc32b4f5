"""Densities of the marginals of a field that has a noise marginal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multisi.analysis.likelihood import log_prob, posterior
from multisi.common import arrays
from multisi.common.estimate import Estimate
from multisi.common.torch_state import own_state
from multisi.field.field import Field


class Densities(Field):
    """A field with likelihoods; arguments as for `Field`."""

    @own_state
    def log_prob(self, x: Any, marginal: str, **options: Any) -> Any:
        r"""Log-density of samples under a marginal, in nats and data units.

        $\log \rho(x) = \log N(z; 0, I) + \int \nabla \cdot b\,dt$ along the flow, which leads into
        the noise and ends at $z$, minus the log-volume of the data units. `noise` selects the
        estimator of the diffusion.

        Arguments:
            x: Samples, shape `(b, *event)`.
            marginal: Name of the marginal.
            options: `steps` (64) and `solver` (`"adams"`); `path` from the marginal to the noise
                and `interpolant`; `probes`, the number of random sign vectors in Hutchinson's
                estimate of the divergence (by default exact up to 32 features, one vector
                beyond); `noise`, and `samples` of the diffusion per row (16); `seed`;
                `condition`; `batch_size`.

        Returns:
            The kind of array that `x` is, shape `(b,)`.

        Raises:
            ScoreError: there is no noise marginal.
            MultisiError: as for `transport`.

        References:
            Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for
            flows and diffusions (2023), arXiv:2303.08797, section 2.5.
        """
        return arrays.as_given(log_prob(self, x, marginal, **options), x)

    @own_state
    def cross_entropy(self, x: Any, marginal: str, **options: Any) -> Estimate:
        r"""The mean of $-\log \rho(x)$ over samples, with its standard error.

        Arguments:
            x: Samples, shape `(b, *event)`.
            marginal: Name of the marginal.
            options: Options of `log_prob`.

        Raises:
            ScoreError: there is no noise marginal.
            MultisiError: as for `log_prob`.
        """
        return Estimate.of(-log_prob(self, x, marginal, **options))

    @own_state
    def classify(
        self, x: Any, prior: Mapping[str, float] | None = None, **options: Any
    ) -> dict[str, Any]:
        r"""The probability of each dataset, $P(k \mid x) \propto \pi_k\, \rho_k(x)$.

        Arguments:
            x: Samples, shape `(b, *event)`.
            prior: Name to share $\pi_k$ of each dataset; equal shares by default.
            options: Options of `log_prob`.

        Returns:
            Name to probabilities, each the kind of array that `x` is, shape `(b,)`.

        Raises:
            ConfigError: `prior` is empty, names an unknown dataset or has an invalid share.
            MultisiError: as for `log_prob`.
        """
        found = posterior(self, x, prior, **options)
        return {name: arrays.as_given(of, x) for name, of in found.items()}
