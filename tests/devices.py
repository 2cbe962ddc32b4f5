"""A device like Apple's, made of the CPU: it has no float64, and says who asks for it."""

import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from multisi.common import seeds

NAME = "privateuseone"


class OnDevice(torch.Tensor):
    """A tensor of the device, which holds one on the CPU."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), dtype=held.dtype, device=NAME
        )

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _called(func, args, kwargs or {})


class WithoutFloat64(TorchDispatchMode):
    """The context in which the device exists, in this process and for ever after."""

    def __init__(self):
        super().__init__()
        backend_registration._setup_privateuseone_for_python_backend()
        torch.__future__.set_swap_module_params_on_conversion(True)
        seeds.WITHOUT_FLOAT64.add(NAME)
        plain = torch.Generator  # A device made of the CPU has no generator of its own.
        seeds.RowGenerator.__new__ = lambda cls, *args: plain.__new__(cls, "cpu")
        of_seed = seeds.generator
        seeds.generator = lambda *numbers, device="cpu": of_seed(*numbers)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _called(func, args, kwargs or {})


def _called(func, args, kwargs):
    """Call an operation on the CPU; refuse float64 on the device, and on the way from it."""
    given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, OnDevice)]
    args_held, kwargs_held = tree_map(lambda x: getattr(x, "held", x), (args, kwargs))
    there = bool(given)
    if kwargs.get("device") is not None:
        there = torch.device(kwargs["device"]).type == NAME
        kwargs_held["device"] = torch.device("cpu")
    found = func(*args_held, **kwargs_held)
    if given and func._schema.name.endswith("_"):
        return args[0]

    def put(x):
        if not isinstance(x, torch.Tensor):
            return x
        if x.dtype == torch.float64 and (there or given):
            raise TypeError(f"The device has no float64, for which {func} asks.")
        return OnDevice(x) if there and not isinstance(x, OnDevice) else x

    return tree_map(put, found)
