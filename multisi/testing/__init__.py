"""For authors of plugins: one line of test that holds a plugin to its contract.

Example:
    >>> from multisi.testing import check_path
    >>> check_path("segment")
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
