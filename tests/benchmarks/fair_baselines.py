"""Other repairs of tables, to stand beside those of the library.

Each takes the rows and groups of the training and of the test part, and gives both parts repaired.
"""

import numpy as np
import ot
import pandas as pd
from fairlearn.preprocessing import CorrelationRemover
from scipy.spatial import cKDTree
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split

_POINTS = 600


def linear(rows, groups):
    """What is linear in the group is removed, by fairlearn."""
    levels = np.unique(groups[0])[1:]
    marked = [
        np.column_stack([(s[:, None] == levels).astype(float), x])
        for x, s in zip(rows, groups, strict=True)
    ]
    remover = CorrelationRemover(sensitive_feature_ids=list(range(len(levels)))).fit(marked[0])
    return [remover.transform(x) for x in marked]


def empirical(rows, groups, seed=0):
    """The barycentre of points; other rows move as the nearest point of their group does."""
    source = np.random.default_rng(seed)
    middle, scale = rows[0].mean(0), rows[0].std(0)
    rows = [(x - middle) / scale for x in rows]
    names, counts = np.unique(groups[0], return_counts=True)
    weights = counts / counts.sum()
    own = [rows[0][groups[0] == name] for name in names]
    parts = [x[source.permutation(len(x))[:_POINTS]] for x in own]
    even = [np.full(len(x), 1 / len(x)) for x in parts]
    start = rows[0][source.permutation(len(rows[0]))[:_POINTS]]
    centre = ot.lp.free_support_barycenter(parts, even, start, weights=weights, numItermax=20)
    moved = [np.empty_like(x) for x in rows]
    for name, x, b in zip(names, parts, even, strict=True):
        plan = ot.emd(b, np.full(len(centre), 1 / len(centre)), ot.dist(x, centre))
        change = plan @ centre / b[:, None] - x
        for out, all_rows, s in zip(moved, rows, groups, strict=True):
            mine = all_rows[s == name]
            out[s == name] = mine + change[cKDTree(x).query(mine)[1]]
    return [x * scale + middle for x in moved]


def equipy(rows, groups, y, seed=0):
    """Predictions for the test rows by EquiPy, of a model that knows the group; `None` without it.

    Scores are repaired by the laws of a quarter of the training rows, which the model is not
    fitted on.
    """
    try:
        from equipy.fairness import FairWasserstein
    except ImportError:
        return None
    names = np.unique(groups[0])
    marked = [
        np.column_stack([x, np.searchsorted(names, s)]) for x, s in zip(rows, groups, strict=True)
    ]
    fit, held = train_test_split(
        np.arange(len(y)), test_size=0.25, random_state=seed, stratify=groups[0]
    )
    told = predicted(marked[0][fit], y[fit], np.concatenate([marked[0][held], marked[1]]))
    known, score = told[: len(held)], told[len(held) :]
    repair = FairWasserstein()
    repair.fit(known, pd.DataFrame({"group": groups[0][held]}))
    return repair.transform(score, pd.DataFrame({"group": groups[1]}))


def predicted(train, y, test):
    """Scores of test rows, by boosted trees."""
    binary = set(np.unique(y)) <= {0, 1}
    kind = HistGradientBoostingClassifier if binary else HistGradientBoostingRegressor
    model = kind(max_iter=80, max_leaf_nodes=15, learning_rate=0.08, random_state=0)
    model.fit(train, y)
    return model.predict_proba(test)[:, 1] if binary else model.predict(test)
