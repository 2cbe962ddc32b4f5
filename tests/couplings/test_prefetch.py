import pickle

from multisi.couplings.prefetch import Ahead


def test_a_window_is_waited_for_and_forgets():
    made = []

    def make(seed, number):
        made.append(number)
        return seed, number

    ahead = Ahead(make)
    assert ahead.window(7, range(3), range(5)) == [(7, 0), (7, 1), (7, 2)]
    assert ahead.window(7, range(2, 5), range(2, 6)) == [(7, 2), (7, 3), (7, 4)]
    assert made[:5] == [0, 1, 2, 3, 4] and made.count(2) == 1
    assert pickle.loads(pickle.dumps(Ahead(divmod))).window(7, range(1, 2), range(1, 2)) == [
        (7, 0)
    ]
