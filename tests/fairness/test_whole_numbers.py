import numpy as np
import pandas as pd

from multisi.fairness import BarycentricRepair


def test_whole_numbers_without_a_lattice_come_back_exactly():
    """What is moved back is nearly whole; an integer column must round it, not cut it off."""
    source = np.random.default_rng(0)
    groups = np.repeat(["a", "b"], 300)
    income = np.exp(source.normal(8, 1.5, 600)) * np.where(groups == "a", 2, 1)
    table = pd.DataFrame({"income": income.astype(int), "x": source.normal(size=600)})
    repair = BarycentricRepair(field="affine", random_state=0)
    moved = repair.fit_transform(table, sensitive_features=groups)
    back = repair.inverse_transform(moved, sensitive_features=groups)
    assert back["income"].tolist() == table["income"].tolist()
