"""Fingerprints: values as JSON, by which two of them can be compared later."""

import contextlib
import functools
import hashlib
import inspect
import json
import math
import pathlib
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from multisi.common.compiled import weights_of

_MOST = 2**26
"""Bytes of an array that are hashed; of a larger one, rows at even distances."""
_DEPTH, _LONG = 12, 200
"""How deep a value is read, and the length from which the state of an object is hashed."""
_PLAIN = (bool, int, float, str, bytes, complex)
_RUNNING = {
    "threading",
    "_thread",
    "concurrent",
    "queue",
    "multiprocessing",
    "io",
    "_io",
    "weakref",
}
"""Modules whose objects are in motion, so that their state says nothing."""


def fingerprint(
    value: Any, of: Callable[[Any], Any] = lambda value: None, weights: bool = True
) -> Any:
    """The value as JSON: equal for equal values, and hardly ever for others.

    Numbers and texts stay; lists, tuples and dicts are taken apart. An array is represented by a
    hash, a function by its name, its code and what it refers to, a module by its parts and their
    weights, and another object by its class and its attributes.

    Arguments:
        value: Any value.
        of: Function that returns the fingerprint of a value for which it knows better, or `None`.
        weights: Whether the values of a module's weights count.

    Examples:
        >>> fingerprint({"sizes": (1, np.float32(0.5)), "path": range(3)})
        {'sizes': [1, 0.5], 'path': 'range(0, 3)'}
    """
    return _Reader(of, weights).read(value)


class _Reader:
    """Takes a value apart, no deeper than `_DEPTH`, and around no circle."""

    def __init__(self, of: Callable[[Any], Any], weights: bool) -> None:
        self.of, self.weights = of, weights
        self._inside: list[int] = []
        self._known: dict[int, tuple[Any, Any]] = {}

    def read(self, value: Any) -> Any:
        """The fingerprint of a value or of a part of it."""
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(float(value))
        if value is None or isinstance(value, bool | int | str):
            return _exact(value)
        if id(value) in self._known:
            return self._known[id(value)][1]
        if id(value) in self._inside or len(self._inside) > _DEPTH:
            return _name(value)
        self._inside.append(id(value))
        try:
            found = self._apart(value)
        finally:
            self._inside.pop()
        self._known[id(value)] = value, found  # The value is kept, so that its id stays its own.
        return found

    def _apart(self, value: Any) -> Any:
        if (known := self.of(value)) is not None:
            return known
        if isinstance(value, Mapping):
            return {_key(key): self.read(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.read(part) for part in value]
        if isinstance(value, set | frozenset):
            return sorted((self.read(part) for part in value), key=json.dumps)
        if isinstance(value, Tensor):
            return of_array(value)
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, functools.partial):
            return [self.read(part) for part in (value.func, value.args, value.keywords)]
        if isinstance(value, types.MethodType):
            return [value.__func__.__qualname__, self.read(value.__self__)]
        if isinstance(value, types.FunctionType):
            return {"function": _name(value), "code": _short(self._function(value))}
        if isinstance(value, type) or inspect.isroutine(value):
            return _name(value)
        if hasattr(value, "__array__"):
            with contextlib.suppress(Exception):
                return self._array(np.asarray(value))
        return self._object(value)

    def _array(self, array: "np.ndarray[Any, Any]") -> Any:
        if array.dtype.kind not in "biufc":
            return _short([str(array.dtype), self.read(array.tolist())])
        return _hash(f"{array.dtype} {array.shape}", np.ascontiguousarray(_some(array)).tobytes())

    def _module(self, module: nn.Module) -> Any:
        parts = [
            [type(part).__qualname__, part.extra_repr(), self.read(_settings(part))]
            for part in _modules(module)
        ]
        named = weights_of(module)
        found = {
            name: [str(part.dtype), list(part.shape)]
            if isinstance(part, Tensor) and not self.weights
            else self.read(part)
            for name, part in named.items()
        }
        return {"module": _name(_inner(module)), "parts": _short([parts, sorted(found.items())])}

    def _function(self, function: types.FunctionType) -> list[Any]:
        """The code of a function and all that it refers to, as far as it is plain."""
        cells = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
        codes = list(_codes(function.__code__))
        found = {n: function.__globals__.get(n) for code in codes for n in code.co_names}
        outside = {
            name: part
            for name, part in found.items()
            if isinstance(part, _PLAIN)
            or (isinstance(part, types.FunctionType) and part.__module__ == function.__module__)
        }
        told = [[code.co_code.hex(), code.co_names, _constants(code)] for code in codes]
        parts = [told, cells, outside, function.__defaults__, function.__kwdefaults__]
        return [self.read(part) for part in parts]

    def _object(self, value: Any) -> Any:
        """Class and state of an object; results that it has cached do not count."""
        if isinstance(value, pathlib.PurePath):
            return repr(value)
        if type(value).__module__.partition(".")[0] in _RUNNING:
            return _name(value)
        try:
            state = value.__getstate__()
        except Exception:
            state = None
        if isinstance(state, dict):
            cached = functools.cached_property
            state = {
                name: part
                for name, part in state.items()
                if not isinstance(inspect.getattr_static(type(value), name, None), cached)
            }
        if state or " at 0x" in (shown := repr(value)):
            read = self.read(state)
            long = len(json.dumps(read)) > _LONG
            return {"class": _name(value), "state": _short(read) if long else read}
        return shown


def of_array(tensor: Tensor) -> str:
    """The hash of an array: its type, its shape, and its bytes or those of some rows."""
    told = f"{tensor.dtype} {tuple(tensor.shape)}"
    if tensor.is_meta:
        return _hash(told, b"")
    dense = tensor.detach() if tensor.layout is torch.strided else tensor.detach().to_dense()
    rows = _some(dense).cpu().contiguous().reshape(-1).view(torch.uint8)
    return _hash(told, rows.numpy().data)


def even(count: int, most: int) -> Tensor:
    """At most `most` indices below `count`, at even distances, with the first and the last."""
    if count <= most:
        return torch.arange(count)
    return torch.arange(most) * (count - 1) // max(1, most - 1)


def _some(array: Any) -> Any:
    """An array of numpy or torch, or if it is large, some of its rows."""
    if array.nbytes <= _MOST:
        return array
    row = array.nbytes // len(array)
    if row > _MOST:
        return _some(array.reshape(-1))
    return array[even(len(array), _MOST // row).numpy()]


def _hash(told: str, data: Any) -> str:
    digest = hashlib.sha256(told.encode())
    digest.update(data)
    return f"sha256:{digest.hexdigest()}"


def _exact(value: Any) -> Any:
    """An instance of a subclass, such as an enumeration, as a plain value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    return int(value) if value.bit_length() < 2**13 else hex(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else repr(key)


def _name(value: Any) -> str:
    own = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(own, '__module__', '')}.{own.__qualname__}"


def _short(value: Any) -> str:
    return _hash(json.dumps(value, sort_keys=True), b"")


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _codes(code: types.CodeType) -> Any:
    """A function's code and that of the functions inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _constants(code: types.CodeType) -> list[Any]:
    return [c for c in code.co_consts if not isinstance(c, types.CodeType)]


def _inner(module: nn.Module) -> nn.Module:
    """The module behind `torch.compile`."""
    return getattr(module, "_orig_mod", module)


def _settings(part: nn.Module) -> dict[str, Any]:
    """The plain attributes of a module, such as a factor or an activation."""
    kinds = (*_PLAIN, np.generic, types.FunctionType, functools.partial)

    def plain(value: Any) -> bool:
        return isinstance(value, kinds) or (
            isinstance(value, list | tuple) and all(map(plain, value))
        )

    hidden = {"training"}
    found = {n: v for n, v in vars(part).items() if not n.startswith("_") and n not in hidden}
    return {name: value for name, value in found.items() if plain(value)}


def _modules(module: nn.Module) -> Any:
    return (part for part in module.modules() if not hasattr(part, "_orig_mod"))
