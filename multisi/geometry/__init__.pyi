from .pairs import Costs as Costs
from .pictures import simplex_picture as simplex_picture
