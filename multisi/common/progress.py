"""Progress bars, shown on terminals and in notebooks only."""

import sys
import warnings
from typing import Any

from tqdm import TqdmWarning, tqdm


def bar(total: int | None, what: str, unit: str, show: bool, **options: Any) -> Any:
    """A bar, shown only if `show` is true and someone can see it: on a terminal, in a notebook."""
    kernel = _in_notebook()
    quiet = not show or sys.stderr is None or not (kernel or sys.stderr.isatty())
    kind = _of_notebooks() if kernel and not quiet else tqdm
    return kind(total=total, desc=what, unit=unit, disable=quiet, dynamic_ncols=True, **options)


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})


def _of_notebooks() -> Any:
    """The bar that tqdm chooses: a widget, or a line of text where there are no widgets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm import auto
    return auto.tqdm
