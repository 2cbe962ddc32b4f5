import pytest
import torch

import multisi
from multisi.errors import ConfigError

X = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))


class Large(torch.nn.Linear):
    """A network that fits in memory for few rows only."""

    def __init__(self, rows, error):
        super().__init__(3, 6)
        self.rows, self.error = rows, error

    def forward(self, x, alpha):
        if self.training and len(x) > self.rows:
            raise self.error
        return super().forward(x).reshape(len(x), 2, 3)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: no room")],
)
def test_it_is_said_what_batch_would_fit(error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {"a": X, "b": X + 1}
    with pytest.raises(ConfigError, match=r"64 rows .* 8 do\. Use batch_size=8, or accumulate=8"):
        multisi.fit(data, network=Large(10, error), batch_size=64, steps=2, progress=False)
    network = Large(10, error)
    multisi.fit(data, network=network, batch_size=64, accumulate=8, steps=2, progress=False)
    with pytest.raises(ConfigError, match="Not even one row fits"):
        multisi.fit(data, network=Large(0, error), batch_size=8, steps=2, progress=False)
    other = RuntimeError("another error")
    with pytest.raises(RuntimeError, match="another error"):
        multisi.fit(data, network=Large(10, other), batch_size=64, steps=2, progress=False)
