from .loading import load as load
from .model import Model as Model
