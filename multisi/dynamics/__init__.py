"""Dynamics along a path: the probability flow and the diffusion, and the arc length."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
