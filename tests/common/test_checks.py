import numpy as np
import pytest

from multisi.common import checks
from multisi.errors import ConfigError


def test_numbers_of_numpy_are_welcome():
    assert checks.integer(np.int32(3), "n") == 3 and type(checks.integer(np.int32(3), "n")) is int
    assert checks.number(np.float32(0.5), "r") == 0.5 and checks.number(0, "r") == 0.0


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3", None, [1]])
def test_integers(value):
    with pytest.raises(ConfigError, match="n must be an integer of at least 1; got"):
        checks.integer(value, "n")


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), True, "3", None, 1j])
def test_real_numbers(value):
    with pytest.raises(ConfigError, match="r must be a finite number of at least 0; got"):
        checks.number(value, "r")


def test_positive_numbers():
    with pytest.raises(ConfigError, match="above 0; got 0"):
        checks.number(0, "r", positive=True)
