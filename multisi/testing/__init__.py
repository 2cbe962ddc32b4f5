"""Checks for authors of plugins: one function per kind tests a plugin against its contract.

Examples:
    >>> from multisi.testing import check_path
    >>> check_path("segment")
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
