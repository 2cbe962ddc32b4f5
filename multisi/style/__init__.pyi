from .judging import evaluate as evaluate
from .palettes import Palettes as Palettes
from .palettes import palette as palette
from .translation import translate as translate
