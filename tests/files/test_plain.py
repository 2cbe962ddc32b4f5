import json
import math

import numpy as np
import pytest

from multisi.files.plain import dumps


def test_numbers_that_json_lacks_become_null():
    value = {"a": [1.5, math.nan, (math.inf, -math.inf)], "b": None, "c": True, 3: "x"}
    assert json.loads(dumps(value)) == {"a": [1.5, None, [None, None]], "b": None, "c": True,
                                        "3": "x"}  # fmt: skip


def test_scalars_of_numpy():
    assert dumps([np.float32(0.5), np.int64(3), np.bool_(True), np.float64("nan")]) == (
        "[0.5, 3, true, null]"
    )
    with pytest.raises(TypeError, match="not JSON serializable"):
        dumps({1, 2})
