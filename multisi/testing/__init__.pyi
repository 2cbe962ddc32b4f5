from .couplings import check_coupling as check_coupling
from .interpolants import check_interpolant as check_interpolant
from .networks import check_network as check_network
from .paths import check_path as check_path
from .solvers import check_solver as check_solver
