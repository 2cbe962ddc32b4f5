"""The choice of the device."""

import os
from typing import Any

import torch

from multisi.errors import ConfigError


def choose(device: Any = "auto") -> torch.device:
    """An available device; `"auto"` means an accelerator where there is one, else the CPU.

    Raises:
        ConfigError: `device` is unknown or not available.
    """
    if isinstance(device, str) and device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        if found is not None and "LOCAL_RANK" in os.environ:  # One process per accelerator.
            return torch.device(found.type, int(os.environ["LOCAL_RANK"]))
        return found or torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"device {device!r} cannot be used: {reason}. Available devices: "
            f"{', '.join(_available())}; device='auto' chooses one."
        ) from None
    return chosen


def memory() -> int | None:
    """Bytes of memory of this machine; `None` where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _available() -> list[str]:
    found = torch.accelerator.current_accelerator(check_available=True)
    count = torch.accelerator.device_count() if found is not None else 0
    return ["cpu", *(f"{found}:{i}" for i in range(count))]
