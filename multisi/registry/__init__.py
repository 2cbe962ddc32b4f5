"""The registry of plugins, by kind and name: hook specifications and built-in plugins."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
