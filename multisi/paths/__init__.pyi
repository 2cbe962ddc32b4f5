from .base import Path as Path
from .bow import Bow as Bow
from .learned import Learned as Learned
from .polyline import Polyline as Polyline
from .polyline import Segment as Segment
from .timed import Timed as Timed
