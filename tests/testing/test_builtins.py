"""Everything that ships passes the batteries that plugins are held to."""

import pytest

from multisi import registry
from multisi.couplings.data_dependent import DataDependent
from multisi.testing import (
    check_coupling,
    check_interpolant,
    check_network,
    check_path,
    check_solver,
)

PICTURES = [{"event": (1, 8, 8)}, {"event": (3, 5, 7), "condition": 2}]
SMALL = {"width": 16, "depth": 2, "attention_heads": 2, "patch": 2}
OPTIONS = {
    "paired": [{"counts": (60, 60)}],
    "ot": [{"reuse": 1}, {"reuse": 1, "noise": True}],
    "class-aware": [{"match": False}],
    "mlp": [{}, {"event": (3, 4, 4), "width": 16}, {"event": ()}, {"condition": 3}],
    "unet": [{**each, "channels": 8, "multiples": (1, 2)} for each in PICTURES],
    "transformer": [each | SMALL for each in PICTURES],
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
    if plugin.distribution == "multisi" and plugin.name not in ("data-dependent", "rectified")
    for options in OPTIONS.get(plugin.name, [{}])
]


def test_couplings_that_need_options():
    """What they are made of is not in the battery's data, whose laws it checks for the rest."""

    def made(marginals):
        for i, marginal in enumerate(marginals[1:]):
            marginal.name = f"data{i}"
        return DataDependent(marginals, "data0", "data1", lambda x, source: (x - 3) / 2)

    check_coupling(made, skip=["laws", "events"])


@pytest.mark.parametrize(("kind", "name", "options"), BUILTINS)
def test_builtin(kind, name, options):
    CHECKS[kind](name, **options)
