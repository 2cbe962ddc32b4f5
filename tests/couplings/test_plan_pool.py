import collections
import pickle

import pytest
import torch

from multisi.couplings.plan_pool import Pool
from multisi.errors import DataError

SIZES = [(256, 256, 64, 64), (64, 16, 8, 8), (7, 5, 3, 10), (8, 64, 5, 4), (16, 16, 1, 1)]
"""Rows of a step and of a plan, `reuse` and size of the window."""


def pool_of(rows, reuse, size, made=None):
    def make(seed, number):
        if made is not None:
            made.append(number)
        return (torch.arange(rows) + rows * number,)

    return Pool(make, rows, reuse, size)


def steps_of(pool, n, count):
    return [pool.draw(n, 0, step)[0].tolist() for step in range(count)]


def test_errors_of_the_worker_come_out():
    def make(seed, number):
        raise DataError("no plan")

    with pytest.raises(DataError, match="no plan"):
        Pool(make, 4, 1, 2).draw(3, 0, 0)


def test_the_first_step_needs_few_plans_and_the_window_fills():
    pool = pool_of(256, 64, 64)
    assert pool._pass(256, 0).plans == range(4)
    sizes = [len(pool._pass(256, step).plans) for step in range(5000)]
    assert sizes == sorted(sizes) and set(sizes[2000:]) == {64}
    assert len(pool._pass(1024, 0).plans) == 16  # Four steps of 1,024 rows.
    assert len(pool_of(1024, 64, 64)._pass(256, 0).plans) == 1
    assert len(pool_of(4, 64, 2)._pass(64, 0).plans) == 16  # As many as a step needs.


def test_new_plans_come_at_an_even_pace():
    """While they are solved at most one is begun for ten steps, which take about 50 ms."""
    pool = pool_of(256, 64, 64)
    begun = [pool._pass(256, step).plans.stop for step in range(6000)]
    assert max(later - now for now, later in zip(begun, begun[100:], strict=False)) <= 10
    assert begun[-1] - begun[-641] == 10  # The full window: one plan for 64 steps.


@pytest.mark.parametrize(("n", "rows", "reuse", "size"), SIZES)
def test_rows_are_drawn_once_a_pass_and_at_most_as_often_as_reuse(n, rows, reuse, size):
    count = 6 * max(size, n // rows + 1) * rows // n * reuse + 50
    pool, times = pool_of(rows, reuse, size), collections.Counter()
    current = None
    for step in range(min(count, 3000)):
        (drawn,) = pool.draw(n, 0, step)
        if pool._drawn[1] != current:
            current, seen = pool._drawn[1], set()
        assert len(set(drawn.tolist())) == n and not seen & set(drawn.tolist())
        seen |= set(drawn.tolist())
        times.update(drawn.tolist())
    assert max(times.values()) <= reuse


@pytest.mark.parametrize(("n", "rows", "reuse", "size"), SIZES)
def test_each_plan_is_made_once(n, rows, reuse, size):
    made = []
    pool = pool_of(rows, reuse, size, made)
    steps_of(pool, n, 1000)
    pool._plans._worker.shutdown()
    assert made == list(range(len(made)))


@pytest.mark.parametrize("resumed", [3, 150, 999])
def test_a_step_does_not_depend_on_the_steps_before(resumed):
    whole = steps_of(pool_of(16, 8, 8), 16, 1200)
    other = pickle.loads(pickle.dumps(Pool(_numbers, 16, 8, 8)))
    assert all(other.draw(16, 0, i)[0].tolist() == whole[i] for i in range(resumed, 1200))


def _numbers(seed, number):
    return (torch.arange(16) + 16 * number,)
