import pytest

from multisi.couplings.plan_pool import Pool
from multisi.errors import DataError


def test_errors_of_the_worker_come_out():
    def make(seed, number):
        raise DataError("no plan")

    with pytest.raises(DataError, match="no plan"):
        Pool(make, 4, 1, 2).draw(3, 0, 0)
