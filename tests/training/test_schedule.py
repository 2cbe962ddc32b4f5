import numpy as np

from multisi.training.schedule import Schedule


def test_schedule():
    schedule = Schedule(steps=1000, learning_rate=1.0)
    rates = [schedule.rate(schedule.passed(step, 0.0)) for step in range(1001)]
    assert max(rates) <= 1 and rates[0] < 0.1 and rates[-1] == 0 and np.argmax(rates) in (19, 20)
    assert Schedule(steps=1000, max_seconds=10).passed(1, 5.0) == 0.5
