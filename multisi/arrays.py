"""Arrays as users have them, and back again."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.errors import DataError, ShapeError


def states(x: Any, like: Tensor, what: str = "x") -> Tensor:
    """`x` as a tensor of the type and on the device of `like`, finite.

    Raises:
        DataError: no array of real numbers, or NaN or infinity in it.
        ShapeError: no axis of rows.
    """
    try:
        tensor = x if isinstance(x, Tensor) else torch.from_numpy(np.array(x, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} must be an array of numbers: {error}.") from None
    if tensor.is_complex():
        raise DataError(f"{what} must be real; got {tensor.dtype}.")
    if tensor.ndim == 0:
        raise ShapeError(f"{what} must have an axis of rows; got a single number.")
    tensor = tensor.detach().to(device=like.device, dtype=like.dtype)
    bad = ~torch.isfinite(tensor.reshape(len(tensor), -1)).all(1) if tensor.numel() else None
    if bad is not None and bad.any():
        rows = bad.nonzero()[:, 0]
        raise DataError(
            f"{what} must be finite; {len(rows)} of {len(tensor)} rows have NaN or infinity, "
            f"the first is row {rows[0].item()}."
        )
    return tensor


def back(y: Tensor, x: Any) -> Any:
    """`y` as the kind of array that `x` is: its library, its device, its floating type."""
    if isinstance(x, Tensor):
        return y.to(device=x.device, dtype=x.dtype if x.is_floating_point() else y.dtype)
    array = y.cpu().numpy()
    kept = isinstance(x, np.ndarray) and x.dtype.kind == "f"
    return array.astype(x.dtype) if kept else array
