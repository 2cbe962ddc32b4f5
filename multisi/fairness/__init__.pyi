from .repair import BarycentricRepair as BarycentricRepair
from .repair import load as load
