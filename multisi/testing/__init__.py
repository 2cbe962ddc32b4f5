"""For authors of plugins: one line of test that holds a plugin to its contract.

Example:
    >>> from multisi.testing import check_path
    >>> check_path("segment")
"""

from multisi.testing.couplings import check_coupling as check_coupling
from multisi.testing.interpolants import check_interpolant as check_interpolant
from multisi.testing.networks import check_network as check_network
from multisi.testing.paths import check_path as check_path
from multisi.testing.solvers import check_solver as check_solver
