"""Algorithmic fairness: repair of tables for many groups, and what tells how fair they are."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
