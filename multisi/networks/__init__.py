"""Networks: one forward pass gives the conditional means of all marginals."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
