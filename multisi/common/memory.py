"""Errors that say that memory is exhausted."""


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says so; torch has no class of its own for that of a processor.

    Arguments:
        error: The error.

    Examples:
        >>> lacks_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
        True
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or "CPUAllocator" in str(error)
