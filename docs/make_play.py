"""Make what the page of the interactive simplex reads: `python docs/make_play.py`, two minutes."""

import json
import pathlib
import tempfile

import numpy as np

import multisi
from multisi import browser

PLACE = pathlib.Path(__file__).parent / "assets" / "play"
ROWS, SHOWN = 20_000, 1000


def datasets(seed: int) -> dict[str, np.ndarray]:
    """A ring, four squares and a cross in the plane."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, ROWS)
    ring = 2.5 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.12 * rng.normal(size=(ROWS, 2))
    corners = rng.choice([-1.6, 1.6], size=(ROWS, 2))
    squares = corners + rng.uniform(-0.6, 0.6, size=(ROWS, 2))
    cross = rng.permuted(rng.normal(size=(ROWS, 2)) * [1.4, 0.12], axis=1)
    return {"ring": ring, "squares": squares, "cross": cross}


def main() -> None:
    """Train, export, and write the samples that the page shows."""
    model = multisi.fit(
        {"noise": multisi.StandardNormal(), **datasets(0)},
        network_options={"preset": "small"},
        steps=12_000,
        seed=0,
    )
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        browser.export(model, f"{folder}/model.json")
        file = json.loads(pathlib.Path(folder, "model.json").read_text())
    rng = np.random.default_rng(1)
    shown = {name: rows[:SHOWN] for name, rows in datasets(1).items()}
    shown["noise"] = rng.normal(size=(SHOWN, 2))
    file["samples"] = {name: rows.round(3).tolist() for name, rows in shown.items()}
    (PLACE / "model.js").write_text(f"export default {json.dumps(file, separators=(',', ':'))};\n")


if __name__ == "__main__":
    main()
