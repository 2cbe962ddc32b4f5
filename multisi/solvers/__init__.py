"""Solvers: from the state at one time of a path to the state at another."""

from multisi.solvers.base import FixedStep as FixedStep
from multisi.solvers.base import Recording as Recording
from multisi.solvers.base import Solver as Solver
