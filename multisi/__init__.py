"""Multimarginal stochastic interpolants: one field over the simplex whose corners are datasets.

Public names are imported on first use, so that `import multisi` does not import torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
