"""Labels of rows: integers or text, as integers that mean the same in every marginal."""

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.common import frames
from multisi.common.arrays import dense
from multisi.errors import DataError


def label_numbers(labels: Any) -> Tensor:
    """Labels as int64, shape of `labels`; text gets a number that depends on the text alone.

    Raises:
        DataError: the labels are neither integers nor text, or some are missing.
    """
    values = labels if isinstance(labels, Tensor) else _plain(labels)
    if isinstance(values, np.ndarray) and values.dtype.kind in "UOT":
        return torch.from_numpy(_of_text(values))
    try:
        numbers = dense(values, "labels")
        if numbers.is_floating_point():
            raise DataError(f"labels must be integers or text; got {numbers.dtype}.")
    except DataError as error:
        raise DataError(
            f"{error} Number the labels of all marginals together: "
            "np.unique(labels, return_inverse=True)[1]."
        ) from None
    return numbers.to("cpu", torch.int64, copy=True)


def _plain(labels: Any) -> Any:
    """Labels as an array; whole numbers of pandas keep their type."""
    if not frames.is_column(labels):
        listed = isinstance(labels, list | tuple) and np.ndim(np.array(labels, object)) == 1
        mixed = listed and any(isinstance(value, str) for value in labels)
        return np.array(labels, object) if mixed else labels
    values = np.asarray(labels)
    if values.dtype == object and all(isinstance(v, int | np.integer) for v in values.flat):
        return values.astype(np.int64)
    return values


def _of_text(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """The first 63 bits of a hash of each text: equal text has equal numbers in all marginals."""
    if other := [value for value in values.flat if not isinstance(value, str)]:
        raise DataError(
            f"labels must be integers or text; got {type(other[0]).__name__} {other[0]!r:.40} "
            f"in {len(other)} of {values.size} rows. Remove these rows, or write them as text."
        )
    texts, places = np.unique(values.astype(object), return_inverse=True)
    coded = (str(text).encode("utf-8", "surrogatepass") for text in texts.tolist())
    digests = (hashlib.blake2b(code, digest_size=8).digest() for code in coded)
    numbers = np.array([int.from_bytes(digest, "big") >> 1 for digest in digests], np.int64)
    return numbers[places].reshape(values.shape)
