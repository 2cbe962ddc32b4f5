"""The model file: one safetensors file, with a description and a hash in its header.

The metadata entry `multisi` of the header is a JSON list of the description and a hash. The hash
covers the description and the name, type, shape and bytes of every tensor. Reading a file never
executes code, and what was read does not change when the file does.
"""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor

from multisi._version import __version__
from multisi.common import checks
from multisi.common.printable import printable, told
from multisi.errors import CheckpointError
from multisi.files import plain
from multisi.files.atomic import write_whole
from multisi.files.regular import open_regular, read_regular

FORMAT = 1
_HEADER = 100_000_000
"""The longest header, in bytes, that safetensors reads."""


def write(path: Any, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write tensors and a description of JSON values atomically.

    Raises:
        ConfigError: `path` is not a path.
        CheckpointError: the file cannot be written, or cannot hold the tensors or the description.
    """
    path = checks.path(path, "The model file")
    data = _file_of(_apart(tensors), description)
    try:
        write_whole(path, data)
    except OSError as error:
        raise CheckpointError(
            f"The model could not be written to {str(path)!r}: {error}."
        ) from None


def check(tensors: Mapping[str, Any], description: Mapping[str, Any]) -> int:
    """Check that a file can hold tensors of these names and types, and this description.

    Returns:
        About the size of the file, in bytes.

    Raises:
        CheckpointError: a tensor or the description cannot be written to a file.
    """
    empty = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.layout is not torch.strided:
            raise CheckpointError(
                f"A file cannot hold {name!r} of the network's state: it must be a dense tensor; "
                f"got {type(tensor).__name__}."
            )
        empty[name] = torch.empty(0, dtype=tensor.dtype, device="cpu")
    size: int = sum(tensor.nbytes for tensor in tensors.values())
    return len(_file_of(empty, description)) + size


def _file_of(tensors: dict[str, Tensor], description: Mapping[str, Any]) -> bytes:
    """The bytes of the file.

    Raises:
        CheckpointError: the file cannot hold them.
    """
    try:
        described = {"format": FORMAT, "version": __version__, **description}
        text = plain.dumps(described, sort_keys=True)
        json.loads(text)  # Some numbers have more digits than can be read.
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"The description of the model must be JSON values: {error}. Check model.card."
        ) from None
    try:
        data = serialise(tensors, {"multisi": json.dumps([text, _hash(text, tensors)])})
    except Exception as error:
        raise CheckpointError(
            f"A file cannot hold the weights of this model: {told(error)}. Convert them to a "
            "type such as torch.float32."
        ) from None
    if (length := int.from_bytes(data[:8], "little")) > _HEADER:
        raise CheckpointError(
            f"The names and the description of the model take {length:,} bytes; a file holds at "
            f"most {_HEADER:,}. Shorten model.card."
        )
    return data


def read(path: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a file that `write` wrote.

    The bytes are read once, checked and used; the file may change meanwhile and afterwards.

    Raises:
        ConfigError: `path` is not the path of a file.
        CheckpointError: the file does not exist, is not a model file, is damaged, or has another
            format.
    """
    path = checks.path(path, "The file of the model")
    try:
        data = read_regular(path)
        tensors = parse(data)
        metadata = _metadata(data[8 : 8 + int.from_bytes(data[:8], "little")])
        del data
    except (OSError, MemoryError) as error:
        raise CheckpointError(f"The model {str(path)!r} cannot be read: {error}.") from None
    except Exception as error:
        raise CheckpointError(
            f"{str(path)!r} is not a safetensors file, or it is damaged: {told(error)}. multisi "
            "reads only models that Model.save wrote; it never unpickles."
        ) from None
    if "multisi" not in metadata:
        raise CheckpointError(
            f"{str(path)!r} was not written by multisi: its header has no entry 'multisi'. Pass a "
            "file that Model.save wrote."
        )
    text, digest, description = _parsed(metadata["multisi"])
    if description.get("format", 0) > FORMAT:  # Checked first: its hash may differ.
        raise CheckpointError(
            f"{str(path)!r} has format {description['format']}, written by multisi "
            f"{printable(str(description.get('version')), 40)}; this multisi {__version__} reads "
            f"up to format {FORMAT}. Upgrade multisi."
        )
    if digest != _hash(text, tensors):
        raise CheckpointError(
            f"{str(path)!r} has been altered or damaged: its contents do not match their hash. "
            "Use another copy, or fit again."
        )
    if description.get("format", 0) < 1:
        raise CheckpointError(
            f"{str(path)!r} has format {description.get('format')}; formats are numbered from 1."
        )
    return tensors, description


def glance(path: pathlib.Path) -> dict[str, Any]:
    """The description of a file, whose hash is not checked; empty if it cannot be read."""
    try:
        with open_regular(path) as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length) if length <= _HEADER else b""
        return _parsed(_metadata(header)["multisi"])[2]
    except (OSError, ValueError, KeyError, RecursionError):
        return {}


def _metadata(header: bytes) -> dict[str, str]:
    found = json.loads(header)
    metadata = found.get("__metadata__") if isinstance(found, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU, each with its own memory, since some networks share weights."""
    apart: dict[str, Tensor] = {}
    seen = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        memory = own.untyped_storage().data_ptr()
        apart[name] = own.clone() if memory in seen else own
        seen.add(memory)
    return apart


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`; the prefix is removed."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _parsed(metadata: Any) -> tuple[str, str, dict[str, Any]]:
    """Description as text, hash, and description as a dict; all empty if damaged."""
    try:
        text, digest = json.loads(metadata)
        description = json.loads(text)
        if isinstance(description, dict) and type(description.get("format")) is int:
            return text, digest, description
    except (ValueError, TypeError, RecursionError):
        pass
    return "", "", {}


def _hash(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
