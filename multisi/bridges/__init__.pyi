from .schroedinger import SchroedingerBridge as SchroedingerBridge
from .schroedinger import schroedinger as schroedinger
