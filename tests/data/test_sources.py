import copy

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import multisi
from multisi import Marginal
from multisi.data.standardiser import Standardiser
from multisi.errors import DataError, ShapeError

X = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))


class Rows(IterableDataset):
    """Rows one by one: all of them, or until something happens at a row."""

    def __init__(self, at=10**9, then=None, count=500):
        self.at, self.then, self.count = at, then, count

    def __iter__(self):
        for i in range(self.count):
            yield X[i % 500] if i < self.at else self.then(i)


class Once(IterableDataset):
    """Rows that can be read once only."""

    def __init__(self, count):
        self.rows = iter(range(count))

    def __iter__(self):
        return (X[i % 500] for i in self.rows)


class Items(Dataset):
    def __init__(self, item, count=100):
        self.item, self.count = item, count

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        return self.item(i)


def mapped(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def fit(x, b=X + 3, **options):
    return multisi.fit({"a": x, "b": b}, **{"steps": 5, "progress": False} | options)


@pytest.mark.parametrize("kind", ["f4", "f8", "f2", "u1", "i4"])
def test_mapped_arrays(tmp_path, kind):
    x = (X.numpy() * 20 + 100).astype(kind)
    file, memory = Marginal(mapped(tmp_path, x)), Marginal(x)
    rows = torch.tensor([3, 499, 3])
    assert torch.equal(file.take(rows).double(), memory.take(rows).double())
    assert file.event_shape == (2,) and len(file) == 500 and not file.in_memory
    near = [Standardiser.of([marginal]).scale for marginal in (file, memory)]
    assert torch.allclose(*near, rtol=0.1)
    with pytest.raises(DataError, match="not in memory"):
        _ = file.samples


def test_mapped_and_in_memory_train_alike(tmp_path):
    weights = torch.rand(500)
    models = [
        multisi.fit(
            {"a": Marginal(x, weights=weights), "b": X + 3},
            coupling=name,
            coupling_options=options,
            network_options={"width": 16},
            steps=5,
            progress=False,
        )
        for x in (X, mapped(tmp_path, X.numpy()))
        for name, options in (("independent", None), ("ot", {"rows": 32, "pool": 4}))
    ]
    for plain, file in zip(models[:2], models[2:], strict=True):
        moved = [model.transport(X, "a", "b") for model in (plain, file)]
        assert torch.allclose(*moved, atol=0.5)


def test_datasets():
    pairs = TensorDataset(X, torch.arange(500) % 3)
    marginal = Marginal(pairs, labels=torch.arange(500) % 3)
    assert torch.equal(marginal.take(torch.tensor([5, 7])), X[[5, 7]])
    fit(pairs)
    images = Items(lambda i: np.full((3, 4, 4), i, dtype=np.uint8))
    assert Marginal(images).take(torch.tensor([9]))[0, 0, 0, 0] == 9.0
    model = multisi.fit({"a": pairs, "b": pairs}, steps=2, progress=False)
    model.evaluate({"a": pairs, "b": pairs}, samples=50, steps=2)


@pytest.mark.parametrize("data", [Rows(), DataLoader(X, batch_size=7, shuffle=True)])
def test_streams_go_round(data):
    marginal = Marginal(data)
    marginal.name = "a"
    assert len(marginal) == 500
    source = torch.Generator().manual_seed(0)
    rows = torch.cat([marginal.take(marginal.draw(100, source)) for _ in range(200)])
    known = {tuple(row) for row in X.tolist()}
    assert {tuple(row) for row in rows.tolist()} <= known
    assert multisi.metrics.energy_distance(rows[::10], X) < 0.02
    model = fit(data)
    assert model.transport(X, "a", "b").shape == X.shape


def test_streams_with_every_coupling_of_rows():
    fit(Rows(), coupling="independent")
    fit(Rows())
    with pytest.raises(DataError, match="a stream has no fixed rows"):
        fit(Rows(), coupling="ot")


BAD = [
    (lambda: iter([X[0]]), DataError, "an iterator, which can be read only once"),
    (lambda: Once(20_000), DataError, "At step .*'a': the stream ended after 20000 rows"),
    (lambda: Once(100), DataError, "stream ended after 100 rows, and gave none"),
    (lambda: Rows(9000, lambda i: X[0] * torch.nan, 10**6), DataError, "At step .*'a': row 9000"),
    (
        lambda: Rows(9000, lambda i: X[0, :1], 10**6),
        DataError,
        r"At step .*'a': .* \d+ rows.*size",
    ),
    (lambda: Items(lambda i: {"x": X[i]}), DataError, "a tuple that starts with one"),
    (lambda: Items(lambda i: X[i] * 1j), DataError, "real numbers"),
    (lambda: Items(lambda i: X[i] / (i != 77)), DataError, "row 77 has NaN or infinity"),
    (lambda: Items(lambda i: X[i, : 1 + (i != 77)]), ShapeError, r"item 77 has \(1,\)"),
    (lambda: TensorDataset(X[:1]), DataError, "at least 2 rows"),
    (lambda: np.zeros((5, 0)), DataError, r"'a': .*empty.*\(5, 0\)"),
]


@pytest.mark.parametrize(("data", "error", "message"), BAD)
def test_bad_data(data, error, message):
    with pytest.raises(error, match=message):
        fit(data(), steps=200, batch_size=100)


def test_a_dataset_that_is_shorter_than_it_says():
    def item(i):
        if i >= 90:
            raise IndexError(i)
        return X[i]

    with pytest.raises(DataError, match=r"has no item 9., although its length is 100"):
        fit(Items(item), steps=50)


def test_loaders_of_ragged_batches():
    batches = [X[:5], X[:5, :1]] * 5000

    class Ragged(DataLoader):
        def __iter__(self):
            return iter(batches)

    with pytest.raises(ShapeError, match=r"after 5 rows the stream gives rows of shape \(1,\)"):
        Marginal(Ragged(X))


def test_streams_have_no_labels():
    with pytest.raises(DataError, match="no fixed rows"):
        Marginal(Rows(), labels=[0] * 500)


def test_nan_in_a_file_names_marginal_row_and_step(tmp_path):
    x = X.numpy().copy()
    x[123] = np.nan
    with pytest.raises(DataError, match="Marginal 'a': row 123 has NaN"):
        fit(mapped(tmp_path, x), steps=100)


def test_some_rows_of_many(tmp_path):
    """Taking a few rows of a huge file needs little memory."""
    file = tmp_path / "huge.bin"
    with file.open("wb") as out:
        out.truncate(4 * 2 * 10**9)
    huge = Marginal(np.memmap(file, dtype=np.float32, mode="r", shape=(10**9, 2)))
    assert huge.choose_rows(100, torch.Generator().manual_seed(0)).shape == (100,)
    assert len(huge.draw(5, torch.Generator())) == 5


def test_whole_numbers_keep_their_digits(tmp_path):
    big = 2**24 + 1
    plain = np.array([[big, 0], [1, 2]], dtype="int32")
    data = [plain, DataLoader(torch.from_numpy(plain))]
    for kind in ("int32", "uint32", "uint64", ">i4", ">f8", "longdouble"):
        (tmp_path / kind).mkdir()
        array = plain.astype(kind)
        data += [mapped(tmp_path / kind, array), Items(array.__getitem__, 2)]
    for kind in (torch.uint32, torch.uint64):
        tensor = torch.from_numpy(plain).to(kind)
        data += [tensor, Items(tensor.__getitem__, 2)]
    for x in data:
        assert Marginal(x).take(torch.tensor([0]))[0, 0].item() == big


def test_loaders_have_an_order_of_their_own():
    def first(seed):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        marginal = Marginal(DataLoader(X, batch_size=7, shuffle=True))
        rows = marginal.take(torch.arange(50))
        assert torch.equal(torch.get_rng_state(), before)
        return rows

    with torch.random.fork_rng():
        assert torch.equal(first(1), first(2))
    marginal = Marginal(DataLoader(X, batch_size=7))
    again = copy.deepcopy(marginal)
    assert torch.equal(again.take(torch.arange(9)), marginal.take(torch.arange(9)))
    noise = [Marginal(DataLoader(Items(lambda i: torch.randn(2)))) for _ in range(2)]
    rows = torch.arange(100)
    assert torch.equal(*(marginal.take(rows) for marginal in noise))
    assert not torch.equal(*(noise[0].take(rows) for _ in range(2)))


def test_training_with_loaders_depends_on_the_seed_alone():
    def trained(seed):
        torch.manual_seed(seed)
        return fit(DataLoader(X, batch_size=7, shuffle=True), seed=0).transport(X[:5], "a", "b")

    with torch.random.fork_rng():
        assert torch.equal(trained(1), trained(2))


def fails(*_):
    raise ZeroDivisionError("deep inside")


class Broken:
    __array__ = fails


class Wordless(Dataset):
    def __getitem__(self, i):
        return X[i]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: Items(fails), "item 0 of the dataset cannot be read: ZeroDivisionError"),
        (lambda: Items(lambda i: "cat"), "'b': item 0 .*<U3.*'cat'"),
        (lambda: Items(lambda i: None), "'b': item 0 .*a NoneType.*None"),
        (lambda: Items(lambda i: ()), r"'b': .*empty.*\(100, 0\)"),
        (lambda: Wordless(), "must have a length"),
        (lambda: Rows(300, fails), r"after \d+ rows the stream failed: ZeroDivisionError"),
        (lambda: DataLoader(X, collate_fn=lambda rows: []), "gave none when read again"),
        (lambda: DataLoader(Wordless()), r"after 0 rows the stream failed: TypeError"),
        (lambda: Items(lambda i: Broken()), "item 0 must be .* ZeroDivisionError"),
        (lambda: Items(lambda i: X[i].to_sparse()), "item 0 must be a plain"),
        (lambda: Items(lambda i: np.ma.masked_less(X[i].numpy(), 9)), "masked entries"),
        (
            lambda: DataLoader(["cat", "dog"]),
            "the batch after 0 rows must be an array.*got type <U3",
        ),
        (lambda: np.ma.masked_array(X.numpy(), X.numpy() > 0), "masked entries"),
        (lambda: torch.nested.nested_tensor([X, X[:3]], layout=torch.jagged), "plain, dense"),
        (lambda: [X[0].requires_grad_(), X[1]], "array of numbers"),
    ],
)
def test_data_that_fail_are_named(data, message):
    with pytest.raises(DataError, match=message):
        multisi.fit({"a": X, "b": data()}, steps=2, progress=False)


def test_batches_without_rows_are_named():
    with pytest.raises(ShapeError, match=r"'b': .*axis of rows"):
        fit(X, b=DataLoader([1.0, 2.0], batch_size=None))


class Pictures(IterableDataset):
    """A stream of pictures of 16 KiB."""

    def __iter__(self):
        for i in range(300):
            yield torch.full((64, 64), float(i), dtype=torch.float32)


@pytest.mark.parametrize(("limit", "rows"), [(2**21, 128), (2**16, 64), (2**30, 300)])
def test_the_buffer_of_a_stream_is_counted_in_bytes(limit, rows, monkeypatch):
    monkeypatch.setattr("multisi.data.sources._BYTES", limit)
    marginal = multisi.Marginal(Pictures())
    assert len(marginal) == rows
    source = torch.Generator().manual_seed(0)
    drawn = [marginal.take(marginal.draw(50, source))[:, 0, 0] for _ in range(60)]
    assert len(torch.cat(drawn).unique()) > 290
