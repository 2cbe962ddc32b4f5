"""Models in a browser: a small file, and plain JavaScript that moves samples with it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
