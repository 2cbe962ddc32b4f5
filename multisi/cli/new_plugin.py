"""`multisi new-plugin`: a package with one plugin and a test that passes."""

import keyword
import pathlib
import re
import shutil
import textwrap
from typing import Any

from multisi._version import __version__
from multisi.common import checks
from multisi.errors import ConfigError
from multisi.files.atomic import write_whole
from multisi.registry import KINDS, installed
from multisi.registry.hookspecs import hook_name

_CODE = {
    "interpolant": '''
        class {name}(multisi.Interpolant):
            """Squares of the coordinates, normalised to sum to one."""

            def weights(self, alpha):
                """The weights, shape `(..., k)`."""
                return alpha**2 / (alpha**2).sum(-1, keepdim=True)
    ''',
    "network": '''
        class {name}(torch.nn.Module):
            """A perceptron of the state and alpha."""

            def __init__(self, event_shape, marginals, width=64):
                super().__init__()
                self.shape = (-1, marginals, *event_shape)
                size = math.prod(event_shape)
                self.layers = torch.nn.Sequential(
                    torch.nn.Linear(size + marginals, width),
                    torch.nn.SiLU(),
                    torch.nn.Linear(width, marginals * size),
                )

            def forward(self, x, alpha):
                """One head per marginal, shape `(b, k, *event)`."""
                rows = x.reshape(len(x), math.prod(x.shape[1:]))
                heads = self.layers(torch.cat([rows, alpha], 1))
                return heads.reshape(len(x), *self.shape[1:])
    ''',
    "solver": '''
        class {name}(multisi.FixedStep):
            """Ralston's method of order 2: two network calls per step."""

            calls_per_step = 2
            stochastic = False

            def step(self, dynamics, y, t, u, generator):
                """The state at time `u`, from the state `y` at time `t < u`."""
                h = u - t
                first = dynamics.drift(y, t)
                second = dynamics.drift(y + 2 / 3 * h * first, t + 2 / 3 * h)
                return y + h * (first + 3 * second) / 4
    ''',
    "coupling": '''
        class {name}(multisi.Coupling):
            """Independent rows of every dataset, drawn with replacement."""

            def __init__(self, marginals):
                self.marginals = marginals
                self.data = [m for m in marginals if isinstance(m, multisi.Marginal)]

            def sample(self, n, *, seed, step):
                """`n` joint draws, shape `(n, k, *event)`: a function of seed and step only."""
                source = torch.Generator().manual_seed(seed * 1_000_003 + step)
                columns = []
                for marginal in self.marginals:
                    if isinstance(marginal, multisi.Marginal):
                        columns.append(marginal.take(marginal.draw(n, source)))
                    else:  # The standard normal.
                        shape = (n, *self.data[0].event_shape)
                        columns.append(torch.randn(shape, generator=source))
                return torch.stack(columns, 1)
    ''',
    "path": '''
        class {name}(multisi.Path):
            """The straight path between two points, slow at both ends."""

            def __init__(self, points):
                self.start, self.stop = points

            def __call__(self, t):
                """The points at times `t`, shape `(..., [b,] k)`."""
                share = torch.sin(torch.pi / 2 * t) ** 2
                share = share.reshape(share.shape + (1,) * max(self.start.ndim, self.stop.ndim))
                return self.start + share * (self.stop - self.start)
    ''',
}
_IMPORTS = {
    "interpolant": "import multisi\n",
    "network": "import math\n\nimport multisi\nimport torch\n",
    "solver": "import multisi\n",
    "coupling": "import multisi\nimport torch\n",
    "path": "import multisi\nimport torch\n",
}
_CHECK = {"solver": ", order=2"}
_USE = {
    "interpolant": 'model.transport(a, "a", "b", interpolant="{plugin}")',
    "network": 'multisi.fit(data, network="{plugin}")',
    "solver": 'model.transport(a, "a", "b", solver="{plugin}")',
    "coupling": 'multisi.fit(data, coupling="{plugin}")',
    "path": 'model.transport(a, "a", "b", path="{plugin}")',
}
_MODULE = '''"""{title} for multisi."""

{imports}

{code}

@multisi.hookimpl
def {hook}():
    """The {kind}s of this package."""
    return {{"{plugin}": {name}}}
'''
_TEST = """from multisi.testing import check_{kind}


def test_contract():
    check_{kind}("{plugin}"{arguments})
"""
_PROJECT = """[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{project}"
version = "0.1.0"
description = "{title} for multisi."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["multisi>={version}"]

[project.entry-points.multisi]
{plugin} = "{module}"

[tool.hatch.build.targets.wheel]
only-include = ["{module}.py"]
"""
_README = """# {project}

{title} for multisi.

```bash
pip install .            # then `multisi plugins` lists {plugin}
python -m pytest         # checks its contract
```

```python
{use}
```
"""


def write_package(kind: str, name: str, folder: Any = ".") -> pathlib.Path:
    """Write a package with a plugin.

    Arguments:
        kind: `"interpolant"`, `"network"`, `"solver"`, `"coupling"` or `"path"`.
        name: Name of the plugin: lower-case letters and digits, joined by hyphens.
        folder: Folder to create the package in.

    Returns:
        The folder of the package, `multisi-NAME`.

    Raises:
        ConfigError: `kind` is unknown, `name` is invalid or built in, or the folder of the package
            exists or cannot be written.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ConfigError(
            "NAME must be lower-case letters and digits, joined by hyphens, and start with a "
            f"letter; got {name!r}."
        )
    if name in {p.name for p in installed().plugins("multisi") if p.kind == kind}:
        raise ConfigError(f"The {kind} {name!r} is built in; choose another name.")
    camel = "".join(part.capitalize() for part in name.split("-"))
    words = {
        "kind": kind,
        "plugin": name,
        "project": f"multisi-{name}",
        "module": f"multisi_{name.replace('-', '_')}",
        "name": f"{camel}_" if keyword.iskeyword(camel) else camel,
        "title": f"The {kind} {name}",
        "version": __version__,
        "hook": hook_name(kind),
        "imports": _IMPORTS[kind],
        "arguments": _CHECK.get(kind, ""),
        "use": _USE[kind].format(plugin=name),
    }
    words["code"] = textwrap.dedent(_CODE[kind]).strip().format(**words) + "\n"
    place = checks.path(folder, "--out") / words["project"]
    try:
        place.mkdir(parents=True)
    except OSError as error:
        if isinstance(error, FileExistsError):
            raise ConfigError(f"{str(place)!r} exists; choose another name or folder.") from None
        raise _unwritable(place, error) from None
    try:
        _write(place, words)
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise _unwritable(place, error) from None
    return place


def _write(place: pathlib.Path, words: dict[str, str]) -> None:
    (place / "tests").mkdir()
    for file, template in (
        ("pyproject.toml", _PROJECT),
        ("README.md", _README),
        (f"{words['module']}.py", _MODULE),
        (f"tests/test_{words['module'].removeprefix('multisi_')}.py", _TEST),
    ):
        write_whole(place / file, template.format(**words).encode())


def _unwritable(place: pathlib.Path, error: OSError) -> ConfigError:
    return ConfigError(f"{str(place)!r} cannot be written: {error}.")
