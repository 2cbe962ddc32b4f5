from .arc_length import ArcLength as ArcLength
from .base import Dynamics as Dynamics
from .diffusion import Diffusion as Diffusion
from .probability_flow import ProbabilityFlow as ProbabilityFlow
