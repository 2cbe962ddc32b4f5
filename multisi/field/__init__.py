"""The field: exact or learned conditional means, and the quantities that follow from them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
