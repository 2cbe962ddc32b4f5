"""The file of a model: one safetensors file, described and signed in its header.

The header's metadata hold one JSON text, `multisi`: a list of the description and of the hash of
that description and of all tensors by name, type, shape and bytes. Nothing is ever executed.
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
    """Write tensors and a description that JSON can hold, whole or not at all.

    Raises:
        CheckpointError: the file cannot be written, or the description is not for JSON.
    """
    path = checks.path(path, "The file of the model")
    description = {"format": FORMAT, "version": __version__, **description}
    try:
        text = json.dumps(description, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"What is told of the model is not for JSON: {error}.") from None
    tensors = _apart(tensors)
    data = serialise(tensors, {"multisi": json.dumps([text, _hash(text, tensors)])})
    try:
        write_whole(path, data)
    except OSError as error:
        raise CheckpointError(
            f"The model could not be written to {str(path)!r}: {error}."
        ) from None


def read(path: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a file that `write` made.

    Raises:
        CheckpointError: no such file, another kind of file, a damaged one, or a newer format.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except OSError as error:
        raise CheckpointError(f"The model {str(path)!r} cannot be read: {error}.") from None
    except Exception as error:
        raise CheckpointError(
            f"{str(path)!r} is no safetensors file, or a damaged one: {error}. multisi reads "
            "only models that Model.save wrote; it never unpickles."
        ) from None
    if "multisi" not in metadata:
        raise CheckpointError(
            f"{str(path)!r} was not written by multisi: its header lacks a model."
        )
    text, digest, description = _told(metadata["multisi"])
    if description.get("format", 0) > FORMAT:  # Said first: it may be signed in another way.
        raise CheckpointError(
            f"{str(path)!r} has format {description['format']}, of multisi "
            f"{description.get('version')}; this multisi {__version__} reads up to {FORMAT}. "
            "Upgrade multisi."
        )
    if digest != _hash(text, tensors):
        raise CheckpointError(
            f"{str(path)!r} has been altered or damaged: its contents do not match their hash. "
            "Use a copy, or fit again."
        )
    return tensors, description


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU, each with memory of its own; some networks tie their weights."""
    apart: dict[str, Tensor] = {}
    seen = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        memory = own.untyped_storage().data_ptr()
        apart[name] = own.clone() if memory in seen else own
        seen.add(memory)
    return apart


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _told(metadata: str) -> tuple[str, str, dict[str, Any]]:
    """Description as text, its hash, and the description; without a hash where it is damaged."""
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
