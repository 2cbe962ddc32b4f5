from .marginals import Marginal as Marginal
from .marginals import StandardNormal as StandardNormal
from .standardiser import Standardiser as Standardiser
