"""Style transfer between pictures: letters of four fonts, digits of three hands, restoration.

`SECONDS` in the environment is the time of every training in place of its own, `ARMS` are names of
those that are run, `SEEDS` the seeds. `CACHE` names a file for the letters, which are drawn once.
`--data DIR` names a folder with `fonts` and `images`.
"""

import itertools
import os
import statistics
import time

import numpy as np
import torch

import multisi
from multisi import style
from multisi.metrics import energy_distance
from multisi.style.judging import fitted
from tests.benchmarks import digits, letters
from tests.benchmarks.measure import one_thread, spread, train

SECONDS = float(os.environ.get("SECONDS", 0))
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0").split(",")]
STEPS, DRAWS, SIGMA, MARK = 32, 16, 0.05, -1.0
POSE = 0.4
"""Weight of the pose beside the shape where pictures without labels are matched."""
UNET = {"network": "unet", "batch_size": 64}
FIGURES = ("accuracy", "energy_distance", "cycle_error", "composition", "paired_error")


def run():
    """One table for letters, one for digits, one for restoration, and the baselines."""
    chosen = os.environ.get("ARMS", ",".join(TABLES)).split(",")
    with one_thread():
        for name in chosen:
            TABLES[name]()


def _letters():
    """Class-aware, paired and unpaired couplings; through the barycentre; other networks."""
    if lacking := letters.missing():
        print(f"\nletters are left out: {lacking}")
        return
    data = letters.data()
    marginals = {n: multisi.Marginal(x, labels=data.labels[n]) for n, x in data.train.items()}
    paired = {n: multisi.Marginal(x) for n, x in data.paired.items()}
    bare = {n: multisi.Marginal(x) for n, x in data.train.items()}
    test = {n: multisi.Marginal(x, labels=data.letters) for n, x in data.test.items()}
    judge = _Judge(test, marginals, paired=True)
    print(f"\nLetters of four fonts, {STEPS} steps of transport")
    judge.row("class-aware", 240, marginals, AWARE)
    told = _told(data)
    judge.row("class-aware, letters told", 500, told, TOLD, readers=judge.known)
    judge.row("paired", 120, paired, {"coupling": "paired"})
    judge.row("unpaired, pixels", 180, bare, PIXELS)
    judge.row("unpaired, shapes", 180, bare, EMBED)
    middle = {n: np.full(len(marginals), 1 / len(marginals)) for n in marginals}
    law = multisi.training.SimplexLaw(0, 0, 0.1, 1, list(middle.items()))
    hub = {**TOLD, "law": law}
    judge.row("letters told, by the middle", 300, told, hub, hub=True, readers=judge.known)
    judge.baselines(data.train)


def _told(data):
    """The letters of one font as conditions; a coupling within letters tells them of all."""
    first, *rest = data.train
    made = {n: multisi.Marginal(data.train[n], labels=data.labels[n].numpy()) for n in rest}
    return {first: style.labelled(data.train[first], data.labels[first].numpy(), drop=0.0)} | made


def _pairwise():
    """One model for all pairs against a model for each, of the same time and number of weights."""
    data = letters.data()
    marginals = {n: multisi.Marginal(x, labels=data.labels[n]) for n, x in data.train.items()}
    test = {n: multisi.Marginal(x, labels=data.letters) for n, x in data.test.items()}
    judge, total, law = _Judge(test, marginals, paired=True), SECONDS or 150, {"law": EDGES}
    print(f"\nLetters: one model, or six of two fonts each, {total:g} s in all")
    whole = judge.row("one model", total, marginals, {**AWARE, **law})
    weights = _weights(whole)
    pairs = list(itertools.combinations(marginals, 2))
    width = max(w for w in range(16, 257, 2) if len(pairs) * _mlp(w) <= weights)
    options = {**AWARE, "network_options": {"width": width}, "max_seconds": total / len(pairs)}
    models = {p: train({n: marginals[n] for n in p}, seed=SEEDS[0], **options) for p in pairs}
    print(f"weights: {weights:,} and {sum(map(_weights, models.values())):,}, width {width}")
    judge.told("six models", [_all(judge.figures(m, p) for p, m in models.items())])


def _digits():
    """Unpaired, in the space of shapes, and class-aware."""
    if lacking := digits.missing():
        print(f"\ndigits are left out: {lacking}")
        return
    flat = {
        n: (d.x.flatten(1), d.y, d.test.flatten(1), d.test_y) for n, d in digits.hands().items()
    }
    marginals = {n: multisi.Marginal(x, labels=y) for n, (x, y, *_) in flat.items()}
    bare = {n: multisi.Marginal(x) for n, (x, *_) in flat.items()}
    test = {n: multisi.Marginal(x, labels=y) for n, (*_, x, y) in flat.items()}
    judge = _Judge(test, marginals)
    print(f"\nDigits of three hands, {STEPS} steps of transport")
    judge.row("unpaired, pixels", 300, bare, PIXELS)
    judge.row("unpaired, shapes", 300, bare, EMBED)
    judge.row("class-aware", 300, marginals, AWARE)
    judge.baselines({n: x for n, (x, *_) in flat.items()})


class _Judge:
    """Prints the figures of models, which are means over all ordered pairs and lists of seeds."""

    def __init__(self, test, train, paired=False):
        self.test, self.paired = test, paired
        self.known = {name: fitted(marginal) for name, marginal in train.items()}

    def row(self, name, seconds, marginals, options, hub=False, readers=None):
        """Train for some seconds with every seed, and print the figures; the last model."""
        found = []
        for seed in SEEDS:
            options = {"max_seconds": SECONDS or seconds, **options}
            model = train(marginals, seed=seed, **options)
            how = {"readers": readers} | ({"via": model.barycenter} if hub else {})
            report = [_figures(style.evaluate(model, **self._options(self.test), **how))]
            found += [_all(report) | {"steps": model.card["training"]["steps"]}]
        self.told(f"{name}, {options['max_seconds']:g} s", found)
        return model

    def figures(self, model, names):
        """The figures of a model of some of the sets."""
        return _figures(style.evaluate(model, **self._options({n: self.test[n] for n in names})))

    def _options(self, test):
        known = {name: self.known[name] for name in test}
        return dict(held_out=test, classifiers=known, paired=self.paired, steps=STEPS)

    def told(self, name, found):
        """Print figures, a dict for each seed."""
        print(name)
        for figure in found[0]:
            print(f"    {figure:20} {spread(each[figure] for each in found)}", flush=True)

    def baselines(self, train):
        """The rows as they are, Gaussian and discrete optimal transport, and the floor."""
        floors = [_half_distance(m) for m in self.test.values()]
        print(f"floor of two halves: {statistics.fmean(floors):.4f}")
        for name, move in {
            "identity": _same,
            "Gaussian": _gaussian,
            "discrete": _discrete,
        }.items():
            found = {}
            for a, b in itertools.permutations(train, 2):
                x, y = (self.test[n].samples for n in (a, b))
                moved = move(train[a], train[b], x)
                right = self.known[b](moved.numpy()) == np.asarray(self.test[a].labels)
                found.setdefault("accuracy", []).append(float(right.mean()))
                found.setdefault("energy_distance", []).append(
                    energy_distance(moved, y, biased=True)
                )
                if self.paired:
                    error = (moved - y).square().mean() / y.var(0, correction=0).mean()
                    found.setdefault("paired_error", []).append(float(error))
            self.told(name, [_all([found])])


def _figures(report):
    return {f: [getattr(pair, f) for pair in report.pairs] for f in FIGURES}


def _all(reports):
    """Means over all pairs of some reports, and the least accuracy."""
    whole = {}
    for report in reports:
        for figure, values in report.items():
            whole.setdefault(figure, []).extend(values)
    found = {f: statistics.fmean(v) for f, v in whole.items() if not np.isnan(v).any()}
    return found | {"least accuracy": min(whole["accuracy"])}


def _half_distance(marginal):
    x = marginal.samples
    return energy_distance(x[: len(x) // 2], x[len(x) // 2 :], biased=True)


def _same(a, b, x):
    return x


def _gaussian(a, b, x):
    from multisi.fairness.maps import Affine

    made = Affine.of([a.double().numpy(), b.double().numpy()])
    return torch.as_tensor(
        made.move(x.double().numpy(), np.array([1, 0]), np.array([0, 1]))
    ).float()


def _discrete(a, b, x):
    """The row of the target that is matched with the nearest row of the source."""
    from multisi.common.assignment import assign

    count = min(len(a), len(b), 1200)
    plan = assign(torch.cdist(a[:count], b[:count]).square())
    return b[plan[torch.cdist(x, a[:count]).argmin(1)]]


def _weights(model):
    return sum(w.numel() for w in model.conditional_means.parameters())


def _mlp(width):
    from multisi.networks import MLP

    network = MLP((letters.SIDE**2,), marginals=2, width=width)
    return sum(w.numel() for w in network.parameters())


def _restoration():
    """Masked and reduced digits: means of draws, single draws, and the way back."""
    if lacking := digits.missing():
        print(f"\nrestoration is left out: {lacking}")
        return
    print(f"\nRestoration of digits, sigma {SIGMA}, {DRAWS} draws of {STEPS} steps")
    for name, corruption in {
        "masked": style.Masked(0.5, 0.0),
        "reduced": style.Reduced(2),
    }.items():
        for figure, values in _restored(name, corruption).items():
            print(f"{name:10} {figure:26} {spread(values)}", flush=True)


def _restored(name, corruption):
    data, found = digits.mnist(), {}
    predict = fitted(multisi.Marginal(data.x, labels=data.y))
    truth, source = data.test, torch.Generator().manual_seed(1)
    marked, variance = _marked(corruption)(truth, source), truth.var(0, correction=0).mean()
    given, ridge = _filled(marked, 0.0), _ridge(data.x, corruption, marked, source)

    def note(figure, value):
        found.setdefault(figure, []).append(float(value))

    def right(x):
        return np.mean(predict(x.flatten(1).numpy()) == np.asarray(data.test_y))

    for seed in SEEDS:
        start = time.perf_counter()
        model = _restorer(data.x, name, corruption, source, seed)
        note("seconds of training", time.perf_counter() - start)
        options = {"steps": STEPS, "condition": given.flatten(1)}
        starts = [given + SIGMA * torch.randn(given.shape, generator=source) for _ in range(DRAWS)]
        draws = [model.transport(x, name, "clean", **options) for x in starts]
        there = model.transport(truth, "clean", name, **options)
        ends = {
            "cycle error from the clean": (
                model.transport(there, name, "clean", **options),
                truth,
            ),
            "cycle error to the clean": (
                model.transport(draws[0], "clean", name, **options),
                starts[0],
            ),
        }
        note("steps", model.card["training"]["steps"])
        note("error of the mean", (torch.stack(draws).mean(0) - truth).square().mean() / variance)
        note("error of ridge regression", (ridge - truth).square().mean() / variance)
        note("error of a draw", (draws[0] - truth).square().mean() / variance)
        note("accuracy of a draw", statistics.fmean(map(right, draws[:4])))
        note("accuracy of ridge", right(ridge))
        note("accuracy of the truth", right(truth))
        for figure, (x, y) in ends.items():
            note(figure, (x - y).square().mean() / y.var(0, correction=0).mean())
    return found


def _restorer(x, name, corruption, source, seed):
    options = {"made": name, "of": "clean", "corrupt": corruption, "sigma": SIGMA, "told": True}
    low = corruption(x, source)
    return train(
        {name: low + SIGMA * torch.randn(low.shape, generator=source), "clean": x},
        coupling="data-dependent",
        coupling_options=options,
        network_options={"channels": 16},
        max_seconds=SECONDS or 500,
        seed=seed,
        **UNET,
    )


def _marked(corruption):
    """The same corruption, which marks masked pixels by a value that no picture has."""
    return style.Masked(corruption.share, MARK) if hasattr(corruption, "share") else corruption


def _filled(marked, value):
    return torch.where(marked == MARK, value, marked)


def _ridge(x, corruption, marked, source):
    """Pictures by ridge regression on what is left, with masked pixels at their mean."""
    from sklearn.linear_model import RidgeCV

    mean, corrupt = x.mean(0), _marked(corruption)
    lows = torch.cat([_filled(corrupt(x, source), mean).flatten(1) for _ in range(4)])
    made = RidgeCV(alphas=np.logspace(-2, 4, 13)).fit(lows, x.flatten(1).repeat(4, 1))
    found = made.predict(_filled(marked, mean).flatten(1))
    return torch.as_tensor(found).float().reshape(marked.shape)


def _pose(x):
    return style.poses(x.reshape(len(x), letters.SIDE, letters.SIDE))


def _blurred(x):
    return style.Blurred(1.0)(x.reshape(len(x), 1, letters.SIDE, letters.SIDE))


def _shape(x):
    shapes = style.shapes(x.reshape(len(x), letters.SIDE, letters.SIDE))
    return torch.cat([shapes, POSE * _pose(x)], 1)


AWARE = {"coupling": "class-aware", "coupling_options": {"embed": _pose}}
EMBED = {"coupling": "ot", "coupling_options": {"embed": _shape, "rows": 1024}}
PIXELS = {"coupling": "ot", "coupling_options": {"embed": _blurred, "rows": 1024}}
TOLD = {
    "coupling": "ot",
    "coupling_options": {"labels": True, "embed": _pose, "rows": 1024, "condition": 0.0},
}
EDGES = multisi.training.SimplexLaw(edges=1, bows=0, faces=0)
TABLES = {
    "letters": _letters,
    "pairwise": _pairwise,
    "digits": _digits,
    "restoration": _restoration,
}
