import numpy as np

from multisi.training.schedule import Schedule


def test_schedule():
    schedule = Schedule(steps=1000, learning_rate=1.0)
    rates = [schedule.rate(schedule.passed(step, 0.0)) for step in range(1001)]
    assert max(rates) <= 1 and rates[0] < 0.1 and rates[-1] == 0 and np.argmax(rates) in (19, 20)
    assert Schedule(steps=1000, max_seconds=10).passed(1, 5.0) == 0.5


def test_the_limit_counts_from_the_call_and_the_warm_up_from_the_first_step():
    schedule = Schedule(steps=1000, max_seconds=10)
    assert schedule.passed(0, 4.0, prepared=4.0) == 0
    assert schedule.passed(1, 4.0, prepared=4.0) == 0.001
    assert schedule.passed(1, 7.0, prepared=4.0) == 0.5
    assert schedule.passed(1, 10.0, prepared=4.0) == 1
    # There is always a first step, and no second one where no time is left.
    assert schedule.passed(0, 11.0, prepared=11.0) == 0
    assert schedule.passed(1, 11.0, prepared=11.0) == 1
