from .base import Coupling as Coupling
from .class_aware import ClassAware as ClassAware
from .data_dependent import DataDependent as DataDependent
from .independent import Independent as Independent
from .optimal_transport import OptimalTransport as OptimalTransport
from .paired import Paired as Paired
from .rectified import Rectified as Rectified
