"""Plugins by kind and name: hook specifications, built-ins, and the registry that finds them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
