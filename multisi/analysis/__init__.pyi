from .few_calls import FewCalls as FewCalls
from .few_calls import few_calls as few_calls
from .kl_bounds import Bounds as Bounds
from .kl_bounds import bounds as bounds
from .plots import image_grid as image_grid
from .plots import matrix as matrix
from .report import Pair as Pair
from .report import Report as Report
