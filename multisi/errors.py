"""Every error that multisi raises on purpose, in one tree below `MultisiError`."""


class MultisiError(Exception):
    """Base of all errors of multisi; catch it to catch them all."""


class ShapeError(MultisiError, ValueError):
    """An array does not have the shape that its place asks for."""


class SimplexError(MultisiError, ValueError):
    """A point is not on the simplex, or a path leaves it."""


class ScoreError(MultisiError, ValueError):
    """The score does not exist at this point: the weight of the noise marginal is zero."""


class PluginError(MultisiError, RuntimeError):
    """A plugin could not be loaded, or broke its contract."""


class PluginWarning(UserWarning):
    """A plugin is not the one that a model was made with, and may not do the same."""


class UnknownPluginError(PluginError, LookupError):
    """No plugin of this kind has the name that was asked for."""


class ConformanceError(PluginError, AssertionError):
    """A plugin breaks its contract; `broken` has the reason for each check that failed."""

    def __init__(self, kind: str, plugin: object, broken: dict[str, str], checks: int) -> None:
        self.broken = broken
        lines = "".join(f"\n- {name}: {reason}" for name, reason in broken.items())
        super().__init__(f"The {kind} {plugin!r} fails {len(broken)} of {checks} checks:{lines}")


class ConfigError(MultisiError, ValueError):
    """An option has a value that it cannot take."""


class DataError(MultisiError, ValueError):
    """The data cannot be used as they are."""


class CheckpointError(MultisiError, RuntimeError):
    """A model file is missing, damaged, foreign, or needs something that is not here."""


class SolverError(MultisiError, ArithmeticError):
    """The field or an integration gave a value that is not finite, or could not be computed."""


class TrainingDivergedError(MultisiError, ArithmeticError):
    """The loss stopped being finite and did not recover."""
