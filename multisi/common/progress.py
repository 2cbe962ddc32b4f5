"""Progress bars, shown on terminals only."""

import sys
from typing import Any

from tqdm import tqdm


def bar(total: int | None, what: str, unit: str, show: bool, **options: Any) -> Any:
    """A bar on standard error, shown only if `show` is true and standard error is a terminal."""
    quiet = not show or sys.stderr is None or not sys.stderr.isatty()
    return tqdm(total=total, desc=what, unit=unit, disable=quiet, dynamic_ncols=True, **options)
