"""The model file: one safetensors file, with a description and a hash in its header.

The metadata entry `multisi` of the header is a JSON list of the description and a hash. The hash
covers the description and the name, type, shape and bytes of every tensor. Reading a file never
executes code.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import safetensors
import torch
from safetensors.torch import save as serialise
from torch import Tensor

from multisi._version import __version__
from multisi.common import checks
from multisi.errors import CheckpointError
from multisi.files.atomic import write_whole

FORMAT = 1


def write(path: Any, tensors: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Write tensors and a description of JSON values atomically.

    Raises:
        ConfigError: `path` is not a path.
        CheckpointError: the file cannot be written, or JSON cannot hold the description.
    """
    path = checks.path(path, "The model file")
    description = {"format": FORMAT, "version": __version__, **description}
    try:
        text = json.dumps(description, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"The description of the model must be JSON values: {error}. Check model.card."
        ) from None
    tensors = _apart(tensors)
    data = serialise(tensors, {"multisi": json.dumps([text, _hash(text, tensors)])})
    try:
        write_whole(path, data)
    except OSError as error:
        raise CheckpointError(
            f"The model could not be written to {str(path)!r}: {error}."
        ) from None


def read(path: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a file that `write` wrote.

    Raises:
        ConfigError: `path` is not the path of a file.
        CheckpointError: the file does not exist, is not a model file, is damaged, or has a newer
            format.
    """
    path = checks.path(path, "The file of the model")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except OSError as error:
        raise CheckpointError(f"The model {str(path)!r} cannot be read: {error}.") from None
    except Exception as error:
        raise CheckpointError(
            f"{str(path)!r} is not a safetensors file, or it is damaged: {error}. multisi reads "
            "only models that Model.save wrote; it never unpickles."
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
            f"{description.get('version')}; this multisi {__version__} reads up to format "
            f"{FORMAT}. Upgrade multisi."
        )
    if digest != _hash(text, tensors):
        raise CheckpointError(
            f"{str(path)!r} has been altered or damaged: its contents do not match their hash. "
            "Use another copy, or fit again."
        )
    return tensors, description


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


def _parsed(metadata: str) -> tuple[str, str, dict[str, Any]]:
    """Description as text, hash, and description as a dict; all empty if damaged."""
    try:
        text, digest = json.loads(metadata)
        description = json.loads(text)
        if isinstance(description, dict) and type(description.get("format")) is int:
            return text, digest, description
    except (ValueError, TypeError, RecursionError):
        pass
    return "", "", {}


def _hash(text: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
