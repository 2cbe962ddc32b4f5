"""Conversion between arrays of users and tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.common import frames
from multisi.common.features import places
from multisi.common.shapes import flat
from multisi.errors import DataError, ShapeError


def floats(x: Any, what: str = "x") -> Tensor:
    """`x` as a finite tensor of float32, or float64 if needed, on the same device.

    Raises:
        DataError: `x` is not an array of real numbers, or contains NaN or infinity.
        ShapeError: `x` has no axis of rows.
    """
    tensor = dense(x, what)
    if tensor.ndim == 0:
        raise ShapeError(f"{what} must have an axis of rows; got a single number.")
    tensor = tensor.to(floating(tensor.dtype), copy=not isinstance(x, Tensor))
    bad = bad_rows(tensor)
    if len(bad):
        raise DataError(
            f"{what} must be finite; {len(bad)} of {len(tensor)} rows have NaN or infinity, "
            f"the first is row {bad[0].item()}. Remove these rows."
        )
    return tensor


def dense(x: Any, what: str) -> Tensor:
    """Any array of real numbers as a tensor of the same type, without a copy where possible.

    Raises:
        DataError: `x` is not an array of real numbers.
    """
    tensor = x if isinstance(x, Tensor) else torch.from_numpy(_array(x, what))
    if not _has_storage(tensor):
        raise DataError(
            f"{what} must be a tensor with values; got one that a transform of torch, such as "
            "torch.func.vmap or grad, passes through a function. Call multisi outside of it: "
            "all methods take batches, and none computes gradients."
        )
    plain = tensor.layout == torch.strided and not tensor.is_nested
    if not plain or tensor.is_meta or tensor.is_quantized:
        kind = "a tensor without values" if tensor.is_meta else f"{tensor.layout}, {tensor.dtype}"
        raise DataError(f"{what} must be a plain, dense array; got {kind}.")
    if tensor.is_complex():
        raise DataError(f"{what} must be real numbers; got {tensor.dtype}.")
    if tensor.is_floating_point() and tensor.dtype.itemsize < 2:
        raise DataError(
            f"{what} must have a floating type of 16 bits or more; got {tensor.dtype}."
        )
    return (tensor.clone() if tensor.is_inference() else tensor).detach().resolve_neg()


def _has_storage(tensor: Tensor) -> bool:
    """Whether a dense tensor has memory of its own; it has none inside transforms of torch."""
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_meta:
        return True
    try:
        return tensor.untyped_storage().device == tensor.device
    except (NotImplementedError, RuntimeError):
        return False


def floating(kind: Any) -> torch.dtype:
    """float32 if it holds all numbers of a type of torch or numpy, else float64."""
    is_float = kind.is_floating_point if isinstance(kind, torch.dtype) else kind.kind == "f"
    return torch.float32 if kind.itemsize <= (4 if is_float else 2) else torch.float64


@dataclass(frozen=True)
class Given:
    """Rows of a user as a tensor, with their features in the order of the model, and the way back.

    Arguments:
        x: What the user gave.
        rows: The same as a tensor, shape `(n, *event)`.
        order: Place in `x` of each feature of the model; `None` if they are the same.
    """

    x: Any
    rows: Tensor
    order: Sequence[int] | None = None

    @classmethod
    def of(cls, x: Any, features: Sequence[str] | None = None, what: str = "x") -> "Given":
        """Rows of an array or a table; a table is aligned with `features` by name.

        Raises:
            DataError: the rows are not finite numbers, or the table has other columns.
            ShapeError: there is no axis of rows.
        """
        rows = floats(x, what)
        if features is None or not frames.is_frame(x):
            return cls(x, rows)
        order = places(frames.names(x, what), features, what)
        return cls(x, rows[:, order], order) if order != sorted(order) else cls(x, rows)

    @property
    def indexed(self) -> Any:
        """What the user gave, if it is a table or a column with an index; otherwise the rows."""
        return self.rows if frames.index_of(self.x) is None else self.x

    def back(self, y: Tensor) -> Any:
        """Results as the same kind of array or table; the last axis of `y` may be the features.

        Raises:
            DataError: the results are too large for the type of `x`.
        """
        if self.order is not None and y.ndim > 1:
            y = y[..., np.argsort(self.order).tolist()]
        return as_given(y, self.x)


def condition(value: Any, rows: int, like: Tensor) -> Any:
    """A condition in the form that networks take: one vector per row, on the device of `like`.

    A single vector `(c,)` is used for every row. Integers keep their type. Values that are not
    arrays are returned unchanged.

    Raises:
        ShapeError: the number of rows of `value` is not `rows`.
        DataError: `value` is an array, but not of finite real numbers.
    """
    if not isinstance(value, Tensor | np.ndarray | list | tuple):
        return value
    given = dense(value, "condition")
    if given.is_floating_point():
        given = floats(given, "condition").to(like)
        given = given.expand(rows, -1) if given.ndim == 1 else given
    if given.ndim == 0 or len(given) != rows:
        raise ShapeError(
            f"condition must have one vector for each of {rows} rows, or be one vector; "
            f"got shape {tuple(given.shape)}."
        )
    return given.to(like.device)


def to_like(values: Tensor, like: Tensor) -> Tensor:
    """Values on the device and then in the type of `like`; some devices have no float64."""
    return values.to(like.device).to(like.dtype)


def rows_of(value: Any, part: slice) -> Any:
    """Some rows of a condition."""
    return value[part] if isinstance(value, Tensor) else value


def bad_rows(tensor: Tensor) -> Tensor:
    """Indices of the rows that have NaN or infinity."""
    if not tensor.numel():
        return torch.empty(0, dtype=torch.int64)
    return (~torch.isfinite(flat(tensor)).all(1)).nonzero()[:, 0]


def as_given(y: Tensor, x: Any) -> Any:
    """`y` as the same kind of array or table as `x`: same library, device and floating type.

    Raises:
        DataError: `y` has numbers that are too large for this type.
    """
    if isinstance(x, Tensor):
        kind = x.dtype if x.is_floating_point() else y.dtype
        return _held(y, y.to(kind)).to(x.device)
    if frames.is_frame(x) or frames.is_column(x):
        return frames.like(y.cpu().numpy(), x)
    kept = isinstance(x, np.ndarray) and x.dtype.kind == "f"
    if kept and x.dtype == np.float16:
        y = _held(y, y.half())
    array = y.cpu().numpy()
    return array.astype(x.dtype, copy=False) if kept else array


def _held(wide: Tensor, narrow: Tensor) -> Tensor:
    if narrow.dtype.itemsize < wide.dtype.itemsize and narrow.isinf().sum() > wide.isinf().sum():
        raise DataError(
            f"The result reaches {wide.abs().max().item():.3g}, which {narrow.dtype} cannot hold. "
            "Pass x in a wider type."
        )
    return narrow


def _array(values: Any, what: str) -> "np.ndarray[Any, Any]":
    if frames.is_frame(values) or frames.is_column(values):
        values = frames.numbers(values, what)
    else:
        frames.refuse_others(values, what)
    try:
        array = np.asarray(values)
    except Exception as error:
        raise DataError(f"{what} must be an array of numbers; got {error!r}.") from error
    if array.dtype.kind not in "biuf":
        plain = array.dtype != object or isinstance(values, np.ndarray | list | tuple)
        kind = f"type {array.dtype}" if plain else f"a {type(values).__name__}"
        raise DataError(f"{what} must be an array of numbers; got {kind}.")
    if np.ma.is_masked(values):
        raise DataError(
            f"{what} must be an array of numbers; got masked entries. Remove their rows."
        )
    # Torch accepts no foreign byte order, negative strides, longdouble or read-only memory.
    native = np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    if any(stride < 0 for stride in array.strides):  # Also along an axis of length one.
        array = array.copy()
    return np.require(array, native, ["C", "W"])
