"""What checkpoints cost the loop: a model of 100 MB, with saves and without, in turns."""

import itertools
import pathlib
import statistics
import tempfile
import time

import torch

import multisi

STEPS, TURNS, EVERY = 60, 3, 10.0
NETWORK = {"width": 2048, "depth": 7}


def run():
    """Seconds that a save costs, as a share of a minute."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 64, generator=source)
    data = {"noise": multisi.StandardNormal(), "a": x, "b": x.flip(1) + 1}
    times: dict[bool, list[float]] = {False: [], True: []}
    saves, size = 0, 0
    for _ in range(TURNS):
        for saving in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                steps, seen = [], set()

                def watch(run, steps=steps, seen=seen, folder=folder):
                    steps.append(time.perf_counter())
                    seen.update(path.name for path in pathlib.Path(folder).glob("step-*"))

                options = {"run_dir": folder, "save_seconds": EVERY} if saving else {}
                model = multisi.fit(
                    data, network_options=NETWORK, steps=STEPS, callbacks=[watch],
                    progress=False, **options,
                )  # fmt: skip
                times[saving] += [b - a for a, b in itertools.pairwise(steps[2:])]
                saves += len(seen)
                size = sum(p.numel() * 4 for p in model.conditional_means.parameters())
    without, with_saves = (statistics.fmean(times[saving]) for saving in (False, True))
    lost = (with_saves - without) * len(times[True]) / max(1, saves)
    print(
        f"\n{size / 1e6:.0f} MB of weights, {4 * size / 1e6:.0f} MB a checkpoint, {saves} saves: "
        f"{without:.3f} s a step without, {with_saves:.3f} s with one every {EVERY:.0f} s.\n"
        f"A save costs {lost:.2f} s: {lost / 60:.1%} of training at one a minute. Longest step: "
        f"{max(times[True]):.2f} s, {max(times[False]):.2f} without saves."
    )
