"""Couplings: joint laws of the marginals, from which training draws."""

from multisi.couplings.base import Coupling as Coupling
