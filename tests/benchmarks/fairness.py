"""Repair of tables beside the usual ways: `python -m tests.benchmarks fairness --data DIR`.

DIR has `law_data_8races.csv` and `compas_two_years_deidentified.csv`, or a folder `tabular` that
has them; without it the synthetic cases are run. In the environment: `CASES` says which, `SEEDS`
the splits, `SECONDS` the time of training, `FIELDS` the maps and whether other tools are run.
"""

import os
import pathlib
import statistics
import time

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp, spearmanr
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import train_test_split

from multisi.fairness import BarycentricRepair
from tests.benchmarks import fair_baselines

SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0,1,2,3,4").split(",")]
SECONDS = float(os.environ.get("SECONDS", 45))
FIELDS = os.environ.get("FIELDS", "baselines,quantile,affine,copula,flow").split(",")
KINDS = [field for field in FIELDS if field != "baselines"]
RACES = {"Mexican": "Hispanic", "Puertorican": "Hispanic"}
AMOUNTS = (0, 0.25, 0.5, 0.75, 1)


def run():
    """All cases, or those that are asked for."""
    cases = {"law": table, "compas": table, "turned": turned, "line": line, "gaussian": gaussian}
    cases |= {"wide": wide, "fast": fast}
    for name in os.environ.get("CASES", ",".join(cases)).split(","):
        cases[name](*([name] if cases[name] is table else []))


def repair(field, seed, **options):
    """The estimator of a field, with the time of the benchmark."""
    return BarycentricRepair(
        **{"field": field, "random_state": seed, "max_seconds": SECONDS} | options
    )


def law(folder):
    """Features, outcome and group of the law school admissions."""
    rows = pd.read_csv(folder / "law_data_8races.csv", index_col=0)
    rows = rows[rows.race.isin(["White", "Black", "Asian", "Hispanic", *RACES])]
    rows = rows.reset_index(drop=True)
    return rows[["LSAT", "UGPA"]].astype(float), rows.ZFYA.values, rows.race.replace(RACES).values


def compas(folder):
    """Features, outcome and group of the COMPAS table."""
    rows = pd.read_csv(folder / "compas_two_years_deidentified.csv")
    known = (rows.is_recid != -1) & (rows.c_charge_degree != "O") & (rows.score_text != "N/A")
    rows = rows[(rows.days_b_screening_arrest.abs() <= 30) & known]
    rows = rows[rows.race.isin(["African-American", "Caucasian", "Hispanic"])]
    rows = rows.reset_index(drop=True)
    features = {
        "age": rows.age,
        "priors": rows.priors_count,
        "juvenile": rows.juv_fel_count + rows.juv_misd_count + rows.juv_other_count,
        "stay": rows.length_of_stay.clip(lower=0).fillna(0),
        "felony": (rows.c_charge_degree == "F").astype(int),
    }
    return pd.DataFrame(features).astype(float), rows.two_year_recid.values, rows.race.values


def judge(train, test, y, s, seed=0):
    """KS of the predictions, leakage, and R² or area under the curve, of a repaired table.

    `y` and `s` are pairs of those of the training and of the test rows.
    """
    score = fair_baselines.predicted(train, y[0], test)
    return outcome(score, y[1], s[1]) | {"leakage": leakage(train, test, s)}


def outcome(score, y, s):
    """KS of predictions, its floor by permutations, and R² or area under the curve."""
    source = np.random.default_rng(0)
    floor = np.quantile([ks(score, source.permutation(s)) for _ in range(60)], 0.9)
    utility = (roc_auc_score if set(np.unique(y)) <= {0, 1} else r2_score)(y, score)
    return {"KS": ks(score, s), "floor": floor, "utility": utility}


def ks(values, groups):
    """The largest distance between the laws of two groups."""
    parts = [values[groups == group] for group in np.unique(groups)]
    return max(ks_2samp(a, b).statistic for i, a in enumerate(parts) for b in parts[i + 1 :])


def leakage(train, test, s):
    """Balanced accuracy on test rows of a probe for the group, fitted on training rows."""
    weights = 1 / pd.Series(s[0]).map(pd.Series(s[0]).value_counts(normalize=True)).values
    probe = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, random_state=0)
    return balanced_accuracy_score(
        s[1], probe.fit(train, s[0], sample_weight=weights).predict(test)
    )


def table(name):
    """A table: medians over the splits, and the amounts of repair."""
    folder = pathlib.Path(os.environ.get("DATA", "."))
    folder = folder / "tabular" if (folder / "tabular").exists() else folder
    X, y, s = (np.asarray(a) if i else a for i, a in enumerate(globals()[name](folder)))
    found = {}
    for seed in SEEDS:
        ends = train_test_split(np.arange(len(y)), test_size=0.3, random_state=seed, stratify=s)
        pairs = [y[i] for i in ends], [s[i] for i in ends]
        arrays = [X.iloc[i].to_numpy() for i in ends]
        add(found, "none", judge(*arrays, *pairs))
        if "baselines" in FIELDS:
            for name_, other in (
                ("linear", fair_baselines.linear),
                ("points", fair_baselines.empirical),
            ):
                add(found, name_, judge(*other(arrays, pairs[1]), *pairs))
            score = fair_baselines.equipy(arrays, pairs[1], pairs[0][0])
            if score is not None:
                add(found, "EquiPy", outcome(score, pairs[0][1], pairs[1][1]))
        for field in KINDS:
            made = repair(field, seed).fit(X.iloc[ends[0]], sensitive_features=s[ends[0]])
            for amount in AMOUNTS if field == "flow" else (1,):
                moved = (
                    made.transform(X.iloc[i], sensitive_features=s[i], amount=amount).to_numpy()
                    for i in ends
                )
                told = "" if amount == 1 else f" {amount}"
                add(found, field + told, judge(*moved, *pairs))
            if field == "auto":
                print(seed, made.field_, made.reason_, flush=True)
    show(name, found)
    for figure in ("KS", "leakage"):
        values = [statistics.median(found[key][figure]) for key in found if "flow" in key]
        if len(values) == len(AMOUNTS):
            print(f"{figure} and amount: Spearman {spearmanr(AMOUNTS, values).statistic:.2f}")


def turned():
    """Three groups that no affine map and no map of single columns repairs."""
    found = {}
    for seed in SEEDS:
        source = np.random.default_rng(seed)
        (train, u, s), (test, v, r) = turned_rows(source, 4000), turned_rows(source, 2000)
        for field in ("none", *KINDS):
            A, B = train, test
            if field != "none":
                seconds = {"max_seconds": min(40, SECONDS)}
                made = repair(field, seed, target="uniform", **seconds)
                made.fit(A, sensitive_features=s)
                A, B = (made.transform(x, sensitive_features=g) for x, g in ((A, s), (B, r)))
            probe = HistGradientBoostingClassifier(max_iter=80, max_leaf_nodes=15, random_state=0)
            score = probe.fit(A, u).predict_proba(B)[:, 1]
            over = leakage(A, B, (s, r)) - 1 / 3
            add(found, field, {"leakage over chance": over, "AUC": roc_auc_score(v, score)})
    show("turned mixtures", found)


def turned_rows(source, n):
    """Rows, the component of each, and its group."""
    X, components, groups = [], [], np.repeat(np.arange(3), n)
    for k in range(3):
        u, e = source.random(n) < 0.65, source.normal(size=(n, 2))
        a = np.where(u[:, None], [1.5, 0] + e * [0.4, 0.8], [-1.5, 0] + e * [0.8, 0.3])
        t = np.deg2rad(40 * k)
        turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
        X.append(a @ turn.T + [0.5 * k, 0])
        components.append(u)
    return np.concatenate(X), np.concatenate(components).astype(int), groups


def line():
    """One column, beside the quantile barycentre of the same rows."""
    found = {}
    for seed in SEEDS:
        source = np.random.default_rng(seed)
        b = source.normal(np.where(source.random(3000) < 0.6, -1.5, 1.5), 0.5) + 1
        parts = [source.normal(size=5000), b, source.gamma(2, 1, 2000)]
        x, s = np.concatenate(parts), np.repeat(["a", "b", "c"], [len(p) for p in parts])
        weights = [len(part) / len(x) for part in parts]
        for field in ("quantile", "flow"):
            if field not in FIELDS:
                continue
            made = repair(field, seed, max_seconds=min(60, SECONDS * 4 / 3))
            z = made.fit(x[:, None], sensitive_features=s).transform(
                x[:, None], sensitive_features=s
            )[:, 0]
            errors = []
            for group, part in zip("abc", parts, strict=True):
                u = np.argsort(np.argsort(part)) / (len(part) - 1)
                truth = sum(w * np.quantile(p, u) for w, p in zip(weights, parts, strict=True))
                errors.append((z[s == group] - truth)[(u > 0.01) & (u < 0.99)])
            root = np.sqrt(np.mean(np.concatenate(errors) ** 2)) / x.std()
            add(found, field, {"RMS in pooled sd": root})
    show("one column", found)


def gaussian():
    """Gaussian groups, beside the barycentre of their moments."""
    found, d = {}, 5
    for seed in SEEDS:
        source = np.random.default_rng(seed)
        parts = []
        for n in (6000, 3000, 1000):
            a = source.normal(size=(d, d)) / np.sqrt(d) + 0.5 * np.eye(d)
            parts.append(source.normal(size=(n, d)) @ a.T + source.normal(size=d))
        X, s = np.concatenate(parts), np.repeat([0, 1, 2], [len(part) for part in parts])
        weights = np.array([len(part) for part in parts]) / len(X)
        means, covariances = [p.mean(0) for p in parts], [np.cov(p.T) for p in parts]
        centre = barycentre(weights, covariances)
        for field in ("affine", "flow"):
            if field not in FIELDS:
                continue
            made = repair(field, seed, max_seconds=min(60, SECONDS * 4 / 3))
            Z = made.fit(X, sensitive_features=s).transform(X, sensitive_features=s)
            errors, laws = [], []
            for k, (m, c) in enumerate(zip(means, covariances, strict=True)):
                r, i = root(c), np.linalg.inv(root(c))
                truth = weights @ np.stack(means) + (parts[k] - m) @ (i @ root(r @ centre @ r) @ i)
                errors.append(((Z[s == k] - truth) ** 2).sum(1))
                laws.append(np.linalg.norm(np.cov(Z[s == k].T) - centre) / np.linalg.norm(centre))
            size = np.sqrt(np.concatenate(errors).mean() / np.trace(centre))
            add(found, field, {"covariance": max(laws), "map": size})
    show("Gaussian groups", found)


def barycentre(weights, covariances):
    """The covariance of the barycentre."""
    b = sum(w * c for w, c in zip(weights, covariances, strict=True))
    for _ in range(1000):
        r = root(b)
        t = sum(w * root(r @ c @ r) for w, c in zip(weights, covariances, strict=True))
        i = np.linalg.inv(r)
        b = i @ t @ t @ i
    return b


def root(c):
    """The root of a covariance."""
    values, vectors = np.linalg.eigh((c + c.T) / 2)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def wide():
    """A hundred columns, four groups of four hundred rows."""
    found = {}
    for seed in SEEDS:
        source = np.random.default_rng(seed)
        (train, y, s), (test, z, r) = wide_rows(source, 400), wide_rows(source, 1000)
        for field in ("none", *KINDS):
            A, B = train, test
            if field != "none":
                made = repair(field, seed).fit(A, sensitive_features=s)
                A, B = (made.transform(x, sensitive_features=g) for x, g in ((A, s), (B, r)))
                if field == "auto":
                    print(seed, made.field_, made.reason_, flush=True)
            add(found, field, judge(A, B, (y, z), (s, r)))
    show("a hundred columns", found)


def wide_rows(source, n):
    """Rows, their outcome and group."""
    X, y, s = [], [], np.repeat(np.arange(4), n)
    for k in range(4):
        f = (source.gamma(2, 1, (n, 20)) - 2) / np.sqrt(2)
        sign = np.where(np.arange(5) == k, -1, 1)
        x = 0.9 * sign * f[..., None] + np.sqrt(0.19) * source.normal(size=(n, 20, 5))
        x = x + 0.5 * (np.arange(5) == k)
        X.append(x.reshape(n, 100))
        y.append(f @ (-1.0) ** np.arange(2, 22) / np.sqrt(20) + 0.5 * source.normal(size=n))
    return np.concatenate(X), np.concatenate(y), s


def fast():
    """Twenty thousand rows, ten columns, four groups: seconds of fit, rows a second."""
    source = np.random.default_rng(0)
    s = np.repeat(np.arange(4), 5000)
    a = source.normal(size=(4, 10, 10)) / np.sqrt(10) + np.eye(10)
    shift, e = source.normal(size=(4, 10)), source.normal(size=(2, 20000, 10))
    X, T = (np.einsum("nij,nj->ni", a[s], x + 0.3 * x**2) + shift[s] for x in e)
    found = {}
    for field in KINDS:
        start = time.perf_counter()
        made = BarycentricRepair(field=field, random_state=0).fit(X, sensitive_features=s)
        fitted = time.perf_counter()
        A = made.transform(X, sensitive_features=s)
        rate = len(X) / (time.perf_counter() - fitted)
        B = made.transform(T, sensitive_features=s)
        over = leakage(A, B, (s, s)) - 0.25
        figures = {"fit, s": fitted - start, "rows a second": rate, "leakage over chance": over}
        add(found, field, figures)
    show("20,000 rows", found)


def add(found, name, figures):
    """Keep the figures of a run."""
    for figure, value in figures.items():
        found.setdefault(name, {}).setdefault(figure, []).append(float(value))


def show(title, found):
    """Print medians and all values."""
    print(f"\n{title}")
    for name, figures in found.items():
        for figure, values in figures.items():
            each = ", ".join(f"{value:.4g}" for value in values)
            print(f"{name:12} {figure:20} {statistics.median(values):.4g} ({each})", flush=True)
