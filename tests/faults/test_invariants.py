"""What holds whatever comes: tables, pictures, types, weights, labels, conditions and settings."""

import signal

import numpy as np
import pandas as pd
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import multisi
from multisi import Marginal, StandardNormal, metrics
from multisi.data import Standardiser
from multisi.errors import MultisiError
from multisi.training import Batches
from tests.closed_forms import mixtures
from tests.faults.test_shapes import SETTINGS

UNMATCHED = {"coupling": "class-aware", "coupling_options": {"match": False}}
MANY = settings(max_examples=200, suppress_health_check=list(HealthCheck))
SMALL = {
    "steps": 1,
    "progress": False,
    "batch_size": 8,
    "network_options": {"width": 8, "depth": 1},
}
PATH = multisi.paths.Segment([torch.eye(3)[1], torch.eye(3)[2]])
VECTORS = multisi.Model(
    multisi.GaussianMixtureMeans(*mixtures()), ("z", "a", "b"), "z", features=("u", "v")
)
PICTURES = multisi.fit(
    {
        "z": StandardNormal(),
        "a": np.random.default_rng(0).normal(size=(40, 2, 3, 3)),
        "b": np.random.default_rng(1).normal(size=(40, 2, 3, 3)) + 1,
    },
    **SMALL,
)

seeds = st.integers(0, 2**32 - 1)
kinds = st.sampled_from(["f2", "f4", "f8", ">f4", ">f8", "i2", "i8", "u1", "?"])
states = st.sampled_from([None, *SETTINGS])


@st.composite
def arrays(draw, event, least=0):
    """Arrays of either library, of any type, order and strides; some columns are constant."""
    n, random = draw(st.integers(least, 6)), np.random.default_rng(draw(seeds))
    x = random.normal(0, draw(st.sampled_from([0.1, 1, 3])), (n, *event))
    if event and draw(st.booleans()):
        x[:, 0] = draw(st.sampled_from([0, 0.1, 3]))
    x = x.astype(draw(kinds))
    form = draw(st.sampled_from(["numpy", "fortran", "reversed", "list", "torch", "grad", "read"]))
    if form == "list":
        return x.tolist() if n else x
    if form == "fortran":
        return np.asfortranarray(x)
    if form == "read":
        x.flags.writeable = False
    if form in ("torch", "grad"):
        tensor = torch.from_numpy(x.astype(x.dtype.newbyteorder("=")))
        return tensor.requires_grad_(form == "grad" and tensor.is_floating_point())
    return x[::-1] if form == "reversed" else x


@st.composite
def tables(draw, least=0):
    """DataFrames with columns in either order, of any type, with any index."""
    n, random = draw(st.integers(least, 6)), np.random.default_rng(draw(seeds))
    floating = ["float16", "float32", "float64", "Float32", "Float64", "double[pyarrow]"]
    whole = ["int64", "Int16", "uint8", "bool", "boolean", "int64[pyarrow]"]
    kind = st.sampled_from([*floating, *whole])
    frame = pd.DataFrame({name: random.integers(0, 3, n) for name in draw(st.permutations("uv"))})
    for name in "uv":
        chosen = draw(kind)
        frame[name] = (frame[name] % 2 if chosen == "boolean" else frame[name]).astype(chosen)
    index = draw(st.sampled_from([None, "text", "twice"]))
    if index is not None:
        frame.index = [f"r{i}" if index == "text" else 0 for i in range(n)]
    return frame


vectors = st.one_of(arrays((2,)), tables())
pictures = arrays((2, 3, 3))


def take(x, order):
    """Rows of whatever it is."""
    if isinstance(x, pd.DataFrame | pd.Series):
        return x.iloc[order]
    return [x[i] for i in order] if isinstance(x, list) else x[order]


def plain(x):
    return np.asarray(x.detach() if isinstance(x, torch.Tensor) else x).astype(np.float64)


def right_or_refused(state, call):
    """A result, or an error of multisi; then it is None."""
    try:
        if state is None:
            return call()
        with SETTINGS[state]():
            return call()
    except MultisiError as error:
        assert str(error)
        return None


def check_kind(x, y):
    """The result has the library, the shape, the names and the floating type of the input."""
    assert np.shape(y) == np.shape(x) and np.isfinite(plain(y)).all()
    if isinstance(x, pd.DataFrame):
        assert isinstance(y, pd.DataFrame)
        assert y.columns.equals(x.columns) and y.index.equals(x.index)
        for before, after in zip(x.dtypes, y.dtypes, strict=True):
            assert after == before if pd.api.types.is_float_dtype(before) else "loat" in str(after)
    elif isinstance(x, torch.Tensor):
        assert isinstance(y, torch.Tensor)
        assert y.dtype == x.dtype if x.is_floating_point() else y.is_floating_point()
    else:
        assert isinstance(y, np.ndarray)
        kept = isinstance(x, np.ndarray) and x.dtype.kind == "f"
        assert y.dtype == x.dtype if kept else y.dtype.kind == "f"


def calls(model, order):
    """Every function of a model of rows, with the order of the rows it is given."""
    ends = ["b" if i % 2 else "a" for i in order]
    return [
        lambda x: model.transport(x, "a", "b", steps=2),
        lambda x: model.transport(x, "a", model.barycenter, steps=2),
        lambda x: model.transport(x, "a", ends, steps=2),
        lambda x: model.transport(x, "a", "b", steps=2, noise=0.3, seed=0, rows=list(order)),
        lambda x: model.transport(x, "a", "a"),
        lambda x: model.couple(x, "a", steps=2)["b"],
        lambda x: model.denoiser(x, {"z": 0.5, "a": 0.5}),
        lambda x: model.score(x, {"z": 0.5, "b": 0.5}),
        lambda x: model.velocity(x, PATH, 0.5),
    ]


def follows_rows(model, x, state, which, random):
    count = len(x)
    order = np.random.default_rng(random).permutation(count).tolist()
    y = right_or_refused(state, lambda: calls(model, range(count))[which](x))
    if y is None:
        return
    check_kind(x, y)
    turned = calls(model, order)[which](take(x, order))
    rounding = 2e-2 if "16" in str(getattr(x, "dtype", getattr(x, "dtypes", ""))) else 1e-4
    assert np.allclose(plain(turned), plain(y)[order], rtol=rounding, atol=rounding)
    same = model.transport(x, "b", "b")
    if np.asarray(same).dtype == np.asarray(plain(x)).dtype or isinstance(x, np.ndarray):
        assert np.array_equal(plain(same), plain(x)) or not np.size(plain(x))


@MANY
@given(x=vectors, state=states, which=st.integers(0, 8), random=seeds)
def test_any_vectors_and_tables(x, state, which, random):
    follows_rows(VECTORS, x, state, which, random)


@MANY
@given(x=pictures, state=states, which=st.integers(0, 8), random=seeds)
def test_any_pictures(x, state, which, random):
    follows_rows(PICTURES, x, state, which, random)


@MANY
@given(x=vectors, state=states, random=seeds)
def test_any_densities(x, state, random):
    order = np.random.default_rng(random).permutation(len(x)).tolist()
    for call in (
        lambda x: VECTORS.log_prob(x, "a", steps=2),
        lambda x: VECTORS.classify(x, steps=2)["b"],
        lambda x: VECTORS.means(x, "a"),
    ):
        y = right_or_refused(state, lambda call=call: call(x))
        if y is not None:
            assert np.isfinite(plain(y)).all() and len(y) == len(x)
            assert np.allclose(plain(call(take(x, order))), plain(y)[order], rtol=1e-3, atol=1e-2)
    loss = right_or_refused(state, lambda: VECTORS.cross_entropy(x, "a", steps=2))
    assert loss is None or np.isfinite(float(loss))


@st.composite
def marginals(draw):
    """Two marginals with all that they carry."""
    event = draw(st.sampled_from([(), (1,), (2,), (2, 3, 3)]))
    random, found = np.random.default_rng(draw(seeds)), {}
    for name in "ab":
        x = draw(tables(4)) if event == (2,) and draw(st.booleans()) else draw(arrays(event, 4))
        n, options = len(x), {}
        if draw(st.booleans()):
            options["weights"] = random.integers(0, 3, n)
        if draw(st.booleans()):
            labels = random.integers(2, size=n)
            options["labels"] = labels if draw(st.booleans()) else [f"l{i}" for i in labels]
        if name == "a" and draw(st.booleans()):
            options["condition"] = random.normal(draw(st.sampled_from([0, 2000])), 9, (n, 1))
        found[name] = (x, options)
    return found


@MANY
@given(
    data=marginals(),
    state=states,
    coupling=st.sampled_from(["independent", "class-aware", "ot", "paired"]),
    noise=st.booleans(),
)
def test_any_marginals(data, state, coupling, noise):
    def call():
        each = {name: Marginal(x, **options) for name, (x, options) in data.items()}
        given = {"z": StandardNormal(), **each} if noise else each
        model = multisi.fit(given, coupling=coupling, device="cpu", **SMALL)
        told = {} if each["a"].condition is None else {"condition": [2000.0]}
        x = data["b"][0]
        check_kind(x, model.transport(x, "b", "a", steps=2, **told))
        report = model.evaluate(each, steps=2)
        assert all(np.isfinite(pair.energy_distance) for pair in report.pairs)
        return model

    right_or_refused(state, call)


@MANY
@given(data=marginals(), random=seeds)
def test_a_weight_of_two_is_a_row_twice(data, random):
    x, options = data["a"]
    whole = np.random.default_rng(random).integers(0, 3, len(x))
    if (whole > 0).sum() < 2:
        return
    twice = np.repeat(np.arange(len(x)), whole)
    labels = {"labels": np.arange(len(x)) % 2}
    told = {} if options.get("condition") is None else {"condition": options["condition"]}
    one = Marginal(x, weights=whole, **labels, **told)
    each = {name: value[twice] for name, value in {**labels, **told}.items()}
    other = Marginal(take(x, twice), weights=np.ones(len(twice)), **each)
    a, b = Standardiser.of([one]), Standardiser.of([other])
    assert torch.allclose(a.shift, b.shift, rtol=1e-9) and torch.allclose(a.scale, b.scale)
    b_side = take(x, np.arange(len(x)))
    for options in ({"coupling": "independent"}, UNMATCHED):
        side = Marginal(b_side, labels=labels["labels"])
        try:
            found = [
                Batches({"a": m, "b": side}, **options, batch_size=16, device="cpu")(0)
                for m in (one, other)
            ]
        except MultisiError:
            continue
        assert torch.allclose(found[0].x, found[1].x, atol=1e-4)
        assert (found[0].condition is None) == (not told)


@MANY
@given(x=vectors, y=vectors, state=states, random=seeds)
def test_any_metrics(x, y, state, random):
    order = np.random.default_rng(random).permutation(len(x)).tolist()
    for name in ("energy_distance", "sliced_wasserstein", "wasserstein"):
        metric = getattr(metrics, name)
        value = right_or_refused(state, lambda metric=metric: metric(x, y))
        if value is not None:
            assert np.isfinite(value)
            if len(x) == len(y):
                assert np.isclose(metric(take(x, order), y), value, rtol=1e-6, atol=1e-6)
    test = right_or_refused(state, lambda: metrics.permutation_test(x, y, permutations=9))
    assert test is None or 0.1 <= test.p_value <= 1


def test_any_signal_handler_of_the_user_is_kept(tmp_path):
    """Also those that came before multisi, and none where there was none."""
    seen = []

    def handler(number, frame):
        seen.append(number)

    x = np.random.default_rng(0).normal(size=(20, 1))
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    signal.signal(signal.SIGUSR1, handler)
    try:
        multisi.fit({"a": x, "b": x + 1}, run_dir=tmp_path / "run", **SMALL)
        assert signal.getsignal(signal.SIGUSR1) is handler
        signal.raise_signal(signal.SIGUSR1)
        assert seen == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before[signal.SIGUSR1])
    assert before == {n: signal.getsignal(n) for n in before}
