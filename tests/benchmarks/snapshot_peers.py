"""Other packages on snapshots in time: a time that is left out, by torchcfm and by OTP-FM.

`python -m tests.benchmarks.snapshot_peers`: embryoid bodies, three times left out in turn, all
cells, one line a run. `DATA` is the folder with `singlecell/eb_pcs.npz`; `SIZES` are the numbers
of components, `SEEDS` the seeds, `NAMES` the peers and `SECONDS` the most time of a training.

A peer is a function of the snapshots that remain (time to array), the time that was left out, a
seed, seconds and the number of samples. Each takes the settings that its authors published, and
no model is chosen by the snapshot that is left out: the last one is taken. The components are
expected to be standardised, as both packages have them.
"""

import functools
import importlib
import os
import pathlib
import sys
import time
import warnings
from collections import OrderedDict

import numpy as np
import torch

from multisi.trajectories.judging import figures

SECONDS = float(os.environ.get("SECONDS", 300))
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0,1,2").split(",")]
SIZES = [int(size) for size in os.environ.get("SIZES", "5,50,100").split(",")]


def run():
    """A line a run: peer, components, seed, time, W1, energy distance and seconds."""
    data = np.load(pathlib.Path(os.environ["DATA"]) / "singlecell" / "eb_pcs.npz")
    names = os.environ.get("NAMES", ",".join(PEERS)).split(",")
    for seed in SEEDS:
        for size in SIZES:
            snapshots = {float(t): data[f"t{t}"][:, :size].astype(np.float32) for t in range(5)}
            for name in names:
                for left in (1.0, 2.0, 3.0):
                    _line(name, snapshots, left, seed)


def _line(name, snapshots, left, seed):
    rest = {t: x for t, x in snapshots.items() if t != left}
    goal = snapshots[left]
    start = time.perf_counter()
    made = PEERS[name](rest, left, seed, SECONDS, len(goal))
    seconds = time.perf_counter() - start
    found = figures(*(torch.as_tensor(x).double() for x in (made, goal)))
    figure = f"w1 {found['w1']:.4f} energy {found['energy_distance']:.4f} seconds {seconds:.0f}"
    print(f"{name:10} d {goal.shape[1]:3} seed {seed} left {left:g} {figure}", flush=True)


def torchcfm(snapshots, left, seed, seconds, n):
    """OT-CFM through all intervals, as in torchcfm's notebook of single cells.

    Its settings: `sigma` .1, 256 rows of each interval in a step, an exact plan for each batch, a
    network of width 64, Adam with 1e-4, 10,000 steps (fewer where `seconds` end before). Times are
    real: velocities are divided by the length of their interval, as its own runs with a time left
    out do. The snapshot before is moved to the time that was left out, by dopri5.
    """
    cfm = _needs("torchcfm.conditional_flow_matching", "torchcfm==1.0.7")
    models = _needs("torchcfm.models", "torchcfm==1.0.7")
    odeint = _needs("torchdiffeq", "torchdiffeq").odeint
    _seed(seed)
    times = sorted(snapshots)
    samples = [torch.as_tensor(snapshots[t]).float() for t in times]
    matcher = cfm.ExactOptimalTransportConditionalFlowMatcher(sigma=0.1)
    network = models.MLP(dim=samples[0].shape[1], time_varying=True, w=64)
    optimiser = torch.optim.Adam(network.parameters(), 1e-4)
    start, step = time.perf_counter(), 0
    while step < 10_000 and time.perf_counter() - start < seconds:
        batch = _batch(matcher, times, samples)
        t, x, velocity = (torch.cat(part) for part in zip(*batch, strict=True))
        optimiser.zero_grad()
        loss = (network(torch.cat([x, t[:, None]], 1)) - velocity).square().mean()
        loss.backward()
        optimiser.step()
        step += 1
    print(f"torchcfm: {step} of 10000 steps", file=sys.stderr, flush=True)

    def field(t, x):
        return network(torch.cat([x, t.expand(len(x), 1)], 1))

    before = max(i for i in range(len(times)) if times[i] < left)
    with torch.no_grad():
        span = torch.tensor([times[before], left])
        moved = odeint(field, _rows(samples[before], n), span, rtol=1e-4, atol=1e-4)
    return moved[-1].numpy()


def _batch(matcher, times, samples):
    """Times, states and velocities, 256 of each interval."""
    for i in range(len(times) - 1):
        x, y = (part[torch.randint(len(part), (256,))] for part in samples[i : i + 2])
        t, state, velocity = matcher.sample_location_and_conditional_flow(x, y)
        length = times[i + 1] - times[i]
        yield times[i] + length * t, state, velocity / length


def otpfm(snapshots, left, seed, seconds, n, *, even=True):
    """OTP-FM with W2 potentials on chains of exact plans, its best published arm.

    The settings are those of its configurations for embryoid bodies with one time left out: in 5
    components `5DLOO/eb_loo_fold*`, in more those for 100, `100DLOO/lo_t*_w2`. Some differ by the
    time left out, so its authors may have tuned them on it. Its own loaders make the chains, and
    keep a tenth of them aside. `grad_clip` does nothing in its trainer, and is left out. Where
    `seconds` end before the published steps, the curriculum runs through in that time.

    Its script puts the snapshots between the ends at even times whatever their real times are,
    and reads off the real time that was left out; `even=False` puts them at their real times.
    """
    package = _needs("otpfm", "otpfm==1.0")
    potential = _needs("otpfm.potentials", "otpfm==1.0").W2InfPotential
    _seed(seed)
    times = sorted(snapshots)
    size = snapshots[times[0]].shape[1]
    strength, width, loss, epochs, middle = _settings(size, sum(t < left for t in times))
    share = [(t - times[0]) / (times[-1] - times[0]) for t in (*times, left)]
    places = np.linspace(0, 1, len(times))[1:-1].tolist() if even else share[1:-2]
    kernel = {"strength": strength, "lambda_type": "gaussian", "width": width}
    model = package.OTPFM(
        d=size,
        tks=places,
        potentials=OrderedDict((t, potential(tk=t, **kernel)) for t in places),
        flownet_args={
            **{"x_emb_dim": 64, "t_emb_dim": 64, "hidden_dim": 768, "num_hidden_layers": 8},
            **{"activation_fn": "silu", "layernorm": True, "dropout": 0.2, "residual_every": 2},
        },
        lossfn=loss,
    )
    curriculum = package.Curriculum(1, slope=12.0, midpoint=middle)
    _train(model, _loader(snapshots), curriculum, epochs, seconds)
    model.eval()
    with torch.no_grad():
        states, at = model.sample(torch.as_tensor(snapshots[times[0]]).float(), n_steps=50)
    return _rows(states[(at - share[-1]).abs().argmin()], n).numpy()


def _settings(size, fold):
    """Strength, width, loss, epochs and midpoint, by the place of the time that was left out."""
    if size <= 5:
        return 200.0, 0.15 if fold == 3 else 0.25, "adaptive", 100, 0.25
    return (300.0, 0.33, "mse", 300, 0.25) if fold == 2 else (300.0, 0.3, "mse", 500, 0.15)


def _loader(snapshots):
    """Batches of 256 chains of rows, by OTP-FM's own preparation of single cells."""
    prepare = _needs("experiments.singlecell.data", "'otpfm[experiments]==1.0'")
    samples = [snapshots[t] for t in sorted(snapshots)]
    rows = np.concatenate(samples).astype(np.float32)
    labels = np.repeat(np.arange(len(samples)), [len(x) for x in samples])
    chains = prepare.compute_ot_alignments(rows, labels, list(range(len(samples))))
    options = {"batch_size": 256, "val_split": 0.1, "ot_alignments": chains}
    return prepare.create_eb_dataloaders(rows, labels, **options)[0]


def _train(model, loader, curriculum, epochs, seconds):
    """Adam with 3e-3, as OTP-FM's trainer has it, for the epochs or the seconds."""
    optimiser = torch.optim.Adam(model.flownet.parameters(), lr=3e-3)
    total, step, start = epochs * len(loader), 0, time.perf_counter()
    model.train()
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
    while (done := max(step / total, (time.perf_counter() - start) / seconds)) < 1:
        if step % len(loader) == 0:
            loader.dataset.dataset.reshuffle()
            batches = iter(loader)
        optimiser.zero_grad()
        model.forward_with_loss(torch.stack(next(batches), 1), curriculum(done)).backward()
        optimiser.step()
        model.update_ema()
        step += 1
    print(f"otpfm: {step} of {total} steps", file=sys.stderr, flush=True)


def _rows(x, n):
    """`n` rows, none more than once oftener than another."""
    rounds = [torch.randperm(len(x)) for _ in range(-(-n // len(x)))]
    return x[torch.cat(rounds)[:n]]


def _seed(seed):
    """Both packages draw from the global generators."""
    torch.manual_seed(seed)
    np.random.seed(seed)


def _needs(module, install):
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{module} is missing: pip install {install}") from error


real = functools.partial(otpfm, even=False)
PEERS = {"torchcfm": torchcfm, "otpfm": otpfm, "otpfm-real": real}

if __name__ == "__main__":
    run()
