import pytest
import torch

from multisi import training
from multisi.errors import ConfigError
from multisi.training.pace import Pace, candidates, interchangeable, untouched


@pytest.fixture
def threads():
    """Two threads in torch, as on a machine with two cores."""
    own = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(own)


class Machine:
    """A clock, and the seconds of a step for each number of threads."""

    def __init__(self, seconds):
        self.now, self.seconds, self.taken = 0.0, seconds, []

    def __call__(self):
        return self.now

    def train(self, pace, until):
        """Take steps until a time; the share of the steps with each number of threads."""
        first = len(self.taken)
        while self.now < until:
            with pace:
                number = torch.get_num_threads()
                self.now += self.seconds[number]
            self.taken.append(number)
        taken = self.taken[first:]
        return {number: taken.count(number) / len(taken) for number in set(taken)}


def test_the_quickest_number_is_used(threads):
    machine = Machine({1: 0.004, 2: 0.002})
    assert machine.train(Pace({1: 0, 2: 0}, machine), 10)[2] > 0.95
    assert torch.get_num_threads() == 2
    machine = Machine({1: 0.004, 2: 0.1})
    assert machine.train(Pace({1: 0, 2: 0}, machine), 30)[1] > 0.99


def test_slow_numbers_are_tried_rarely(threads):
    machine = Machine({1: 0.005, 2: 0.5})
    machine.train(Pace({1: 0, 2: 0}, machine), 100)
    assert 2 <= machine.taken.count(2) <= 5
    assert len(machine.taken) > 0.97 * 100 / 0.005


def test_more_threads_must_save_time(threads):
    machine = Machine({1: 0.0041, 2: 0.004})
    assert machine.train(Pace({1: 0, 2: 0}, machine), 10)[1] > 0.9
    # Between the two bounds the number stays as it is.
    machine = Machine({1: 0.005, 2: 0.004})
    pace = Pace({1: 0, 2: 0}, machine)
    machine.train(pace, 10)
    machine.seconds = {1: 0.0041, 2: 0.004}
    assert machine.train(pace, 20)[2] > 0.9


def test_a_load_that_comes_and_goes_is_noticed(threads):
    machine = Machine({1: 0.005, 2: 0.003})
    pace = Pace({1: 0, 2: 0}, machine)
    assert machine.train(pace, 10)[2] > 0.9
    machine.seconds = {1: 0.006, 2: 0.05}
    assert machine.train(pace, 20)[1] > 0.95
    machine.seconds = {1: 0.005, 2: 0.003}
    machine.train(pace, 60)
    assert machine.train(pace, 70)[2] > 0.9


def test_a_number_that_fails_again_and_again_is_tried_more_rarely(threads):
    """Two threads are quick whenever they are measured, and slow for long afterwards."""
    machine = Machine({1: 0.005, 2: 0.004})
    pace = Pace({1: 0, 2: 0}, machine)
    while machine.now < 100:
        machine.train(pace, machine.now + 0.1)
        machine.seconds[2] = 0.5 if pace._left > 0 else 0.004
    assert machine.taken.count(2) * 0.004 < 10 and len(machine.taken) > 0.9 * 100 / 0.005


def test_a_single_slow_step_changes_nothing(threads):
    machine = Machine({1: 0.005, 2: 0.004})
    pace = Pace({1: 0, 2: 0}, machine)
    machine.train(pace, 10.3)
    machine.seconds = {1: 0.005, 2: 0.2}
    machine.train(pace, 10.4)
    machine.seconds = {1: 0.005, 2: 0.004}
    machine.train(pace, 13)
    assert machine.train(pace, 20)[2] > 0.9


def test_one_number_is_kept(threads):
    machine = Machine({2: 0.1})
    assert machine.train(Pace({2: 0}, machine), 5) == {2: 1.0}


def test_a_smaller_number_of_the_user_is_a_bound(threads):
    torch.set_num_threads(1)
    assert candidates() == [1]
    with Pace({2: 0}):
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_number_is_restored_after_errors(threads, error):
    seen = []

    def fail():
        with Pace({1: 0}):
            seen.append(torch.get_num_threads())
            raise error("x")

    with pytest.raises(error, match="x"):
        fail()
    assert seen == [1]
    assert torch.get_num_threads() == 2


def test_a_number_that_is_known_to_be_hopeless_is_not_tried_at_once(threads):
    machine = Machine({1: 0.005, 2: 0.3})
    pace = Pace({1: 1.0, 2: 0.3}, machine)
    assert machine.train(pace, 14) == {1: 1.0}
    assert machine.train(pace, 17)[2] > 0
    assert machine.train(Pace({1: 1.0, 2: 0.01}, machine), 18)[2] > 0


def test_equal_bits(threads):
    x = torch.randn(10, generator=torch.Generator().manual_seed(0))
    assert interchangeable(lambda: [x * torch.tensor(2.0)]).keys() == {1, 2}
    assert interchangeable(lambda: [x * torch.get_num_threads()]).keys() == {2}
    assert interchangeable(lambda: [torch.full((), torch.nan)]).keys() == {2}


def test_what_is_tried_leaves_no_trace():
    module = torch.nn.BatchNorm1d(2)
    before, state = module.running_mean.clone(), torch.get_rng_state()
    with untouched(module):
        module(torch.randn(9, 2))
    assert module.running_mean.equal(before) and torch.get_rng_state().equal(state)


def trained():
    source = torch.Generator().manual_seed(0)
    data = {name: torch.randn(999, 2, generator=source) + i for i, name in enumerate("abc")}
    batches = training.Batches(data, batch_size=256, device="cpu")
    run = training.Training(batches.means(width=128), batches, training.Schedule(steps=12))
    run.run()
    return run


def test_weights_do_not_depend_on_the_threads(threads, monkeypatch):
    """Steps with any of the numbers that may be chosen give the bits of a run with one.

    Which numbers those are depends on the processor.
    """

    class Alternating(Pace):
        def __exit__(self, *error):
            super().__exit__(*error)
            self.number = next(n for n in (3 - self.number, self.number) if n in self._numbers)

    free = trained()
    assert torch.get_num_threads() == 2
    monkeypatch.setattr("multisi.training.loop.Pace", Alternating)
    mixed = trained()
    for one, other in zip(free.means.parameters(), mixed.means.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_number_that_changes_the_result_is_not_used(threads):
    def noisy(x, alpha):
        return weight * x[:, None] * torch.ones(1, 3, 1) * torch.get_num_threads()

    weight = torch.nn.Parameter(torch.ones(()))
    network = torch.nn.Module()
    network.weight, network.forward = weight, noisy
    source = torch.Generator().manual_seed(0)
    data = {name: torch.randn(99, 2, generator=source) + i for i, name in enumerate("abc")}
    batches = training.Batches(data, batch_size=16, device="cpu")
    for limit, numbers in ((None, {2}), (0.5, {1, 2})):
        schedule = training.Schedule(steps=3, max_seconds=limit)
        run = training.Training(batches.means(network), batches, schedule)
        assert run._numbers().keys() == numbers


@pytest.mark.parametrize("error", [ConfigError, KeyboardInterrupt])
def test_threads_are_as_before_a_run_that_fails(threads, error):
    def fail(run):
        assert torch.get_num_threads() == 2  # Callbacks have all threads.
        raise error("stop")

    source = torch.Generator().manual_seed(0)
    data = {name: torch.randn(99, 2, generator=source) for name in "ab"}
    batches = training.Batches(data, batch_size=16, device="cpu")
    run = training.Training(
        batches.means(width=8), batches, training.Schedule(steps=3), callbacks=[fail]
    )
    with pytest.raises(error, match="stop"):
        run.run()
    assert torch.get_num_threads() == 2
