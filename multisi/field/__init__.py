"""The field: conditional means, exact or learned, and what they say at a point."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
