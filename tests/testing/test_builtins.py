"""Everything that ships passes the batteries that plugins are held to."""

import pytest

from multisi import registry
from multisi.testing import (
    check_coupling,
    check_interpolant,
    check_network,
    check_path,
    check_solver,
)

OPTIONS = {
    "paired": [{"counts": (60, 60)}],
    "mlp": [{}, {"event": (3, 4, 4), "width": 16}, {"event": ()}, {"condition": 3}],
    "smoothed": [{"form": form} for form in ("sqrt", "quadratic", "sine", "sigmoid")],
    "bow": [{}, {"depth": 0.1}],
    **{name: [{"order": 2}] for name in ("heun", "midpoint", "srk", "ab2")},
    **{name: [{"order": 3}] for name in ("ab3", "adams", "adams4")},
    "rk4": [{"order": 4}],
}
CHECKS = {
    "interpolant": check_interpolant,
    "network": check_network,
    "solver": check_solver,
    "coupling": check_coupling,
    "path": check_path,
}
BUILTINS = [
    (plugin.kind, plugin.name, options)
    for plugin in registry.installed().plugins()
    if plugin.distribution == "multisi"
    for options in OPTIONS.get(plugin.name, [{}])
]


@pytest.mark.parametrize(("kind", "name", "options"), BUILTINS)
def test_builtin(kind, name, options):
    CHECKS[kind](name, **options)
