from .fitting import fit as fit
from .judging import HeldOutTimes as HeldOutTimes
from .judging import leave_one_out as leave_one_out
from .loading import load as load
from .pictures import ways as ways
from .snapshots import Snapshots as Snapshots
from .snapshots import read as read
from .trajectory import Trajectory as Trajectory
