"""Whatever comes: a right result or an error of multisi, nothing else."""

import contextlib
import io
import math
import random
import resource
import time

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import multisi
from multisi import metrics, simplex
from multisi.cli.parser import main
from multisi.errors import CheckpointError, MultisiError
from multisi.files import checkpoint
from multisi.paths.polyline import Polyline
from tests.closed_forms import mixtures

X = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
NAMES = ("z", "a", "b")
EXACT = multisi.Model(multisi.GaussianMixtureMeans(*mixtures()), NAMES, "z")
MANY = settings(max_examples=150, suppress_health_check=list(HealthCheck))

numbers = st.one_of(
    st.integers(-3, 5),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(0, 1),
    st.sampled_from([10**30, -0.0, np.float32(0.5), np.int64(2), True, None, "1", "x"]),
)
odd = st.one_of(
    numbers,
    st.text(max_size=5),
    st.lists(numbers, max_size=4),
    st.dictionaries(st.sampled_from([*NAMES, "c", 3]), numbers, max_size=3),
    st.sampled_from([b"a", object(), int, print, torch.zeros(3), np.zeros((2, 3)), NAMES]),
)
kinds = st.sampled_from(["f2", "f4", "f8", ">f8", "i1", "i4", "u8", "?", "c8", "U3", "O"])
samples = kinds.flatmap(
    lambda kind: arrays_of.arrays(
        np.dtype(kind), arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    )
)
points = st.one_of(
    st.sampled_from(NAMES),
    st.lists(st.floats(-0.2, 1.2), min_size=0, max_size=4),
    st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(
        lambda w: (np.array(w) / np.sum(w)).tolist()
    ),
    st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1), max_size=3),
    odd,
)


def right_or_refused(call, check=lambda result: None):
    """Warnings count as wrong; numbers that come must pass the check."""
    state = torch.get_rng_state()
    try:
        check(call())
    except MultisiError as error:
        if not str(error):
            raise
    if not torch.equal(torch.get_rng_state(), state):
        raise ValueError("the global generator was used")


def finite_like(x):
    def check(y):
        rows = torch.as_tensor(np.asarray(x, dtype=np.float64))
        y = torch.as_tensor(np.asarray(y, dtype=np.float64))
        assert y.shape == rows.shape and torch.isfinite(y).all()

    return check


@MANY
@given(x=samples, source=points, target=points)
def test_transport_of_anything_from_anywhere(x, source, target):
    right_or_refused(lambda: EXACT.transport(x, source, target, steps=3), finite_like(x))


OPTIONS = ("steps", "noise", "seed", "solver", "path", "interpolant", "via", "grid", "rows",
           "batch_size", "precision", "condition")  # fmt: skip


@MANY
@given(options=st.dictionaries(st.sampled_from(OPTIONS), odd, min_size=1, max_size=2))
def test_transport_with_any_options(options):
    options = {"steps": 3} | options
    right_or_refused(lambda: EXACT.transport(X, "a", "b", **options), finite_like(X))


@MANY
@given(alpha=points)
def test_means_are_consistent_wherever_they_exist(alpha):
    def check(g):
        assert g.shape == (30, 3, 2) and torch.isfinite(g).all()

    right_or_refused(lambda: EXACT.means(X, alpha), check)
    right_or_refused(lambda: EXACT.score(X, alpha))
    right_or_refused(lambda: EXACT.denoiser(X, alpha))


@MANY
@given(
    data=st.dictionaries(st.one_of(st.text(max_size=3), odd.filter(callable)), samples, max_size=3)
)
def test_fit_of_anything(data):
    def check(model):
        for name, x in data.items():
            finite_like(x)(model.transport(x, name, model.marginals[-1], steps=2))

    right_or_refused(
        lambda: multisi.fit(data, steps=1, progress=False, network_options={"width": 8}), check
    )


FIT = ("steps", "batch_size", "learning_rate", "clip", "accumulate", "precision", "held_out",
       "seed", "device", "coupling", "coupling_options", "network", "network_options", "law",
       "max_seconds", "callbacks", "rescue")  # fmt: skip


@MANY
@given(options=st.dictionaries(st.sampled_from(FIT), odd, min_size=1, max_size=2))
def test_fit_with_any_options(options, tmp_path_factory):
    options = {"steps": 1, "batch_size": 8, "network_options": {"width": 8}} | options
    # More steps would be taken, not refused.
    if isinstance(options["steps"], int | np.integer) and options["steps"] > 5:
        return
    if isinstance(options["batch_size"], int) and options["batch_size"] > 5000:
        return
    with contextlib.chdir(tmp_path_factory.mktemp("fit")):
        right_or_refused(lambda: multisi.fit({"a": X, "b": X + 1}, progress=False, **options))


@MANY
@given(x=samples, y=samples)
def test_metrics_of_anything(x, y):
    def check(value):
        assert math.isfinite(value)

    for metric in (metrics.energy_distance, metrics.wasserstein, metrics.sliced_wasserstein):
        right_or_refused(lambda metric=metric: metric(x, y), check)


@MANY
@given(alpha=points, k=st.integers(-1, 4))
def test_points_of_the_simplex(alpha, k):
    def check(found):
        assert torch.allclose(found.sum(-1), torch.ones((), dtype=found.dtype))
        assert (found >= 0).all()

    if isinstance(alpha, list):
        given = torch.tensor([v for v in alpha if isinstance(v, float)], dtype=torch.float64)
        right_or_refused(lambda: simplex.check(given, 3, "alpha"), check)
        right_or_refused(lambda: Polyline([given, given])(torch.linspace(0, 1, 5)), check)
    right_or_refused(lambda: simplex.corner(k, 3), check)
    right_or_refused(lambda: simplex.barycenter(k, noise=False), check)


@MANY
@given(weights=odd, labels=odd, condition=odd)
def test_marginals_of_anything(weights, labels, condition):
    right_or_refused(lambda: multisi.Marginal(X, weights=weights))
    right_or_refused(lambda: multisi.Marginal(X, labels=labels))
    right_or_refused(lambda: multisi.Marginal(X, condition=condition))


COMMANDS = ("fit", "transport", "evaluate", "inspect", "plugins", "new-plugin")
words = st.one_of(
    st.sampled_from(
        [*COMMANDS, "--marginal", "a=a.npy", "b=a.npy", "--out", "m.safetensors", "--steps", "1",
         "--quiet", "--source", "a", "--target", "b", "noise", "a.npy", "out.npy", "out.csv",
         "--noise", "0.5", "--json", "--seed", "-1", "", "=", "a=", "barycenter", "a=0.5,b=0.5",
         "solver", "own", "--network-option", "width=8", "--samples", "20", "--device", "cpu",
         "nan", "--batch-size", "8", "--help", "--version"]
    ),
    st.text(st.characters(exclude_characters="/\\.~"), max_size=6),
)  # fmt: skip


@MANY
@given(arguments=st.lists(words, max_size=12))
def test_any_command_line(arguments, tmp_path_factory):
    """Zero, or two and one line of reason; the parser's own refusals exit with two as well."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(tmp_path_factory.mktemp("cli")),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        np.save("a.npy", X.numpy())
        if "fit" in arguments[:1]:
            arguments = [*arguments, "--steps", "1"]
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code
    assert code in (0, 2) and (code == 0 or err.getvalue().strip()), (code, err.getvalue())


@contextlib.contextmanager
def within_bounds():
    """At most five seconds of processor time, and one GiB of growth of the memory."""
    start, before = time.process_time(), peak()
    try:
        yield
    finally:
        assert time.process_time() - start < 5 and peak() - before < 2**20


def peak():
    """The largest memory so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def mutated(data, source):
    """One of the ways in which files change: bits, bytes, blocks, lengths, and their header."""
    data = bytearray(data)
    place, size = source.randrange(len(data)), source.choice((1, 2, 8, 64, 512))
    block = slice(place, place + size)
    way = source.randrange(9)
    if way == 0:
        data[place] ^= 1 << source.randrange(8)
    elif way == 1:
        data[block] = bytes(len(data[block]))
    elif way == 2:
        data[block] = source.randbytes(len(data[block]))
    elif way == 3:
        del data[block]
    elif way == 4:
        data[place:place] = source.randbytes(size)
    elif way == 5:
        del data[place:]
    elif way == 6:
        data += source.randbytes(size)
    elif way == 7:
        other = source.randrange(len(data))
        moved = data[block]
        data[block], data[other : other + len(moved)] = data[other : other + len(moved)], moved
    else:
        header = min(int.from_bytes(data[:8], "little"), len(data) - 8)
        place = 8 + source.randrange(header)
        data[place] = source.choice(b'{}[]",:0123456789 aAfFmnt\\\x00\xff')
    return bytes(data)


@pytest.mark.parametrize("part", range(4))
def test_changed_bytes_in_two_thousand_files(part, tmp_path):
    """None loads with other numbers, or says anything else of itself."""
    golden = multisi.fit(
        {"z": multisi.StandardNormal(), "a": X, "b": X + 1},
        steps=2,
        progress=False,
        network_options={"width": 8, "depth": 1},
    )
    file = tmp_path / "m.safetensors"
    golden.save(file)
    tensors, description = checkpoint.read(file)
    data, source, refused = file.read_bytes(), random.Random(part), 0
    for _ in range(500):
        file.write_bytes(mutated(data, source))
        try:
            with within_bounds():
                found, told = checkpoint.read(file)
                multisi.load(file)
        except CheckpointError:
            refused += 1
            continue
        assert told == description and found.keys() == tensors.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert refused > 450
