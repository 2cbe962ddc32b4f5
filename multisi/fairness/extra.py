"""The packages of the extra `fairness`, imported when they are used."""

import importlib
from typing import Any

from multisi.errors import ConfigError

_NAMES = {"sklearn": "scikit-learn"}


def need(module: str) -> Any:
    """A module of an optional package.

    Raises:
        ConfigError: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise ConfigError(
            f"multisi.fairness needs {_NAMES.get(package, package)}. "
            "Try: pip install 'multisi[fairness]'"
        ) from None
