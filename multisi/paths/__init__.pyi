from .base import Path as Path
from .bow import Bow as Bow
from .polyline import Polyline as Polyline
from .polyline import Segment as Segment
