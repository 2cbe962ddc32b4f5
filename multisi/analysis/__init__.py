"""What can be said of a model: likelihoods, bounds, reports and pictures."""

from multisi.analysis.kl_bounds import Bounds as Bounds
from multisi.analysis.kl_bounds import bounds as bounds
