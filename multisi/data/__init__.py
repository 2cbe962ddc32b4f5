"""Data: the marginals, the sources of their samples, and the standardiser."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
