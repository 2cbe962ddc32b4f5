from .exporting import engine as engine
from .exporting import export as export
