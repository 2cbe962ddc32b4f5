"""Networks for pictures of 3 x 64 x 64: training and sampling beside bare calls of the network.

Without a GPU, only the overhead of sampling is measured. `SECONDS` is the time of a measurement.
"""

import itertools
import os
import statistics
import time

import torch

import multisi
from multisi import StandardNormal, registry, training
from multisi.field.wrapped_means import autocast
from tests.benchmarks.measure import arms

SECONDS = float(os.environ.get("SECONDS", 8))
SHAPE, STEPS = (3, 64, 64), 8
GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
VARIANTS = {
    "float32": {},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, compiled": {"precision": "bfloat16", "compile": "default"},
    "bfloat16, CUDA graphs": {"precision": "bfloat16", "compile": "reduce-overhead"},
}
NETWORKS = {
    "unet": ("unet", {}, VARIANTS),
    "transformer, medium": ("transformer", {"preset": "medium"}, list(VARIANTS)[1:3]),
    "unet, medium": ("unet", {"preset": "medium"}, list(VARIANTS)[1:4:2]),
}
BATCH = 128


def run():
    """Sampling on a processor; training, sampling and memory on a GPU."""
    if not GPU:
        print("\nNo GPU: throughput in bfloat16, compiled and by CUDA graphs was not measured.")
        means = fitted("unet", {}, 32).conditional_means
        _sampling_row("unet, float32", means, 32, {}, rounds=1)
        return
    name = torch.cuda.get_device_name()
    print(f"\n{name}, torch {torch.__version__}, pictures {SHAPE}")
    for label, (network, options, variants) in arms(NETWORKS).items():
        for variant in variants:
            how = VARIANTS[variant]
            torch.compiler.reset()
            torch.cuda.reset_peak_memory_stats()
            if how.get("compile") != "reduce-overhead":
                _training_row(f"{label}, {variant}", network, options, BATCH, how)
            means = _compiled(fitted(network, options, 32).conditional_means, how)
            _sampling_row(f"{label}, {variant}", means, BATCH, how)


def _compiled(means, how):
    if "compile" in how:
        means.network.compile(mode=how["compile"])
    return means


def data(rows=512):
    """Two marginals of noise in place of pictures, and the noise."""
    source = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, rows, *SHAPE, generator=source).unbind()
    return {"noise": StandardNormal(), "a": a, "b": b}


def fitted(network, options, batch):
    """A model after one step."""
    return multisi.fit(
        data(64),
        network=network,
        network_options=options,
        coupling="independent",
        batch_size=batch,
        steps=1,
        device=DEVICE,
        progress=False,
    )


class Clock:
    """A callback that ends a run after some seconds, and keeps the time of each later step."""

    def __init__(self, warm=10):
        self.times, self.warm, self.start = [], warm, None

    def __call__(self, run):
        _wait()
        now = time.perf_counter()
        if run.step == self.warm:
            self.start = now
        self.times.append(now)
        return run.step > self.warm + 5 and now - self.start > SECONDS

    def seconds(self):
        """The median time of a step."""
        late = self.times[self.warm :]
        return statistics.median(b - a for a, b in itertools.pairwise(late))


def _training_row(label, network, options, batch, how):
    made = registry.create("network", network, torch.nn.Module, SHAPE, marginals=3, **options)
    if "compile" in how:
        made.compile(mode=how["compile"])
    clock = Clock()
    multisi.fit(
        data(),
        network=made,
        coupling="independent",
        law=training.SimplexLaw(),
        batch_size=batch,
        steps=10**6,
        precision=how.get("precision"),
        callbacks=[clock],
        device=DEVICE,
        progress=False,
        rescue="/dev/null" if os.name == "posix" else "rescue.safetensors",
    )
    ours = clock.seconds()
    memory = torch.cuda.max_memory_allocated() / 2**30
    bare = _bare_training(made, batch, how)
    print(
        f"train  {label:34} {batch / ours:8.0f} pictures/s, bare {batch / bare:8.0f}, "
        f"ratio {ours / bare:.3f}, {memory:.1f} GiB",
        flush=True,
    )


def _bare_training(network, batch, how):
    """Seconds of a step of the network alone: forward, backward, a fused optimiser."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    x = torch.randn(batch, *SHAPE, device=DEVICE)
    alpha, y = torch.rand(batch, 3, device=DEVICE), torch.randn_like(x)

    def step():
        with torch.autocast(DEVICE, torch.bfloat16, enabled="precision" in how):
            heads = network(x, alpha)
        loss = torch.nn.functional.mse_loss(heads.float().sum(1), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0, foreach=True)
        optimiser.step()
        optimiser.zero_grad()

    return _timed(step)


def _sampling_row(label, means, batch, how, rounds=3):
    model = fitted("unet", {}, 32)
    model.conditional_means = means
    x = torch.rand(batch, *SHAPE, device=DEVICE)
    precision = how.get("precision")
    bare_means = autocast(means, precision) if precision else means
    alpha = torch.tensor([0.0, 0.5, 0.5], device=DEVICE)[None].expand(batch, -1)
    mix = torch.tensor([[0.0, -1.0, 1.0]], device=DEVICE)

    def sampled():
        model.transport(x, "a", "b", steps=STEPS, solver="euler", precision=precision)

    def bare():
        with torch.no_grad():
            for _ in range(STEPS):
                bare_means.network(x, alpha, mix=mix).clone()

    times = [(_timed(sampled, rounds), _timed(bare, rounds)) for _ in range(5)]
    ratio = statistics.median(ours / theirs for ours, theirs in times)
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"sample {label:34} {batch * STEPS / ours:8.0f} calls/s, "
        f"bare {batch * STEPS / theirs:8.0f}, ratio {ratio:.3f}",
        flush=True,
    )


def _timed(step, rounds=None):
    """Median seconds of a call, after a warm-up."""
    for _ in range(3 if rounds is None else 2):
        step()
    _wait()
    times, end = [], time.perf_counter() + (SECONDS if rounds is None else 0)
    while len(times) < (rounds or 6) or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        _wait()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _wait():
    if GPU:
        torch.cuda.synchronize()
