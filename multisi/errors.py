"""Every error that multisi raises on purpose, in one tree below `MultisiError`."""


class MultisiError(Exception):
    """Base of all errors of multisi; catch it to catch them all."""


class ShapeError(MultisiError, ValueError):
    """An array does not have the required shape."""


class SimplexError(MultisiError, ValueError):
    """A point is not on the simplex, or a path leaves it."""


class ScoreError(MultisiError, ValueError):
    """The score does not exist at this point: the weight of the noise marginal is zero."""


class PluginError(MultisiError, RuntimeError):
    """A plugin could not be loaded, or broke its contract."""


class PluginWarning(UserWarning):
    """A plugin differs from the one that a model was fitted with, so results may differ."""


class DataWarning(UserWarning):
    """Something that a file or an array holds is not used, or not kept."""


class UnknownPluginError(PluginError, LookupError):
    """No plugin of this kind has the requested name, or several have it."""


class ConformanceError(PluginError, AssertionError):
    """A plugin breaks its contract; `broken` gives the reason for each check that failed.

    Arguments:
        kind: Kind of the plugin.
        plugin: The plugin.
        broken: Name of each check that failed, and the reason.
        checks: Number of checks that were run.
    """

    def __init__(self, kind: str, plugin: object, broken: dict[str, str], checks: int) -> None:
        self.broken = broken
        lines = "".join(f"\n- {name}: {reason}" for name, reason in broken.items())
        super().__init__(f"The {kind} {plugin!r} fails {len(broken)} of {checks} checks:{lines}")


class ConfigError(MultisiError, ValueError):
    """An option has an invalid value."""


class DataError(MultisiError, ValueError):
    """The data cannot be used as they are."""


class CheckpointError(MultisiError, RuntimeError):
    """A model file is missing, damaged or not a model, or needs something that is missing."""


class SolverError(MultisiError, ArithmeticError):
    """The field or an integration failed, or gave a value that is not finite."""


class TrainingDivergedError(MultisiError, ArithmeticError):
    """The loss became non-finite and did not recover."""
