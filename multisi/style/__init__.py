"""Style transfer: pictures of one domain as those of another, by one model for all directions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
