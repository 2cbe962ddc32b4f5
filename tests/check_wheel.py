"""Uses an installed multisi as its users do: `make wheel-check` runs this on the wheel."""

import pathlib
import subprocess
import sys

import torch

import multisi


def output(*arguments):
    command = [pathlib.Path(sys.executable).with_name("multisi"), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    package = pathlib.Path(multisi.__file__).parent
    assert package.is_relative_to(sys.prefix), f"{package} is not the installed package"
    assert (package / "py.typed").exists()
    assert multisi.__version__ in output("--version").split()
    listed = output("plugins", "--strict")
    for name in ("barycentric", "mlp", "adams", "independent", "segment"):
        assert f" {name} " in listed, listed
    a, b = torch.randn(2, 64, 2, generator=torch.Generator().manual_seed(0))
    data = {"z": multisi.StandardNormal(), "a": a, "b": b + 3}
    multisi.fit(data, steps=20, progress=False).save("model.safetensors")
    moved = multisi.load("model.safetensors").transport(a, "a", "b", noise=0.5, seed=0)
    assert moved.shape == a.shape and moved.isfinite().all()
    print(f"multisi {multisi.__version__} works, in {sys.prefix}")


if __name__ == "__main__":
    main()
