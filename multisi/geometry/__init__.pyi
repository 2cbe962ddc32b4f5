from .pairs import Costs as Costs
