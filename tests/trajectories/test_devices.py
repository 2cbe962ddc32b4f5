import pytest
import torch

from multisi import Marginal, trajectories

QUICK = {"progress": False, "network_options": {"width": 64, "depth": 3}, "batch_size": 256}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_trajectories_on_a_gpu():
    source = torch.Generator().manual_seed(0)
    data = {t: torch.randn(200, 2, generator=source) + 2 * t for t in (0.0, 1.0, 2.0)}
    masses = {0: 1.0, 1: 2.0, 2: 3.0}
    found = trajectories.fit(data, masses=masses, steps=300, device="cuda", **QUICK)
    on_gpu = data[0.0].cuda()
    states, gained = found.sample(on_gpu, 0.0, [0.5, 2.0], return_growth=True)
    assert states.device.type == "cuda" and states.shape == (2, 200, 2)
    assert gained.shape == (2, 200) and (states[1].mean(0).cpu() - 4).norm() < 0.5
    assert found.velocity(on_gpu, 0.5).device.type == "cuda"
    assert found.law(0.5, 100).shape == (100, 2) and 1.0 < found.mass(0.5) < 2.0
    assert found.log_growth(on_gpu, 0.5).shape == (200,)
    assert found.descendants(on_gpu[:9], 0.0, 2.0).shape == (9, 200)
    told = torch.tensor([0.0, 1.0]).repeat_interleave(100)[:, None]
    doses = {0.0: data[0.0], 1.0: Marginal(data[1.0], condition=told)}
    dosed = trajectories.fit(doses, steps=20, device="cuda", **QUICK)
    assert dosed.law(0.5, 50, condition=[1.0]).shape == (50, 2)
