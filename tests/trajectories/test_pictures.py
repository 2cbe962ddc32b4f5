import pytest
import torch

from multisi import trajectories
from multisi.errors import ConfigError

QUICK = {"steps": 3, "progress": False, "network_options": {"width": 16, "depth": 2}}


def snapshots(d):
    source = torch.Generator().manual_seed(0)
    return {t: torch.randn(60, d, generator=source) + 3 * t for t in (0, 1, 2.5)}


def test_ways_in_every_format():
    found = trajectories.fit(snapshots(3), **QUICK)
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "jpg": b"\xff\xd8"}
    for format, start in starts.items():
        assert trajectories.ways(found, format=format).startswith(start)


def test_what_has_no_picture():
    found = trajectories.fit(snapshots(1), **QUICK)
    bare = trajectories.Trajectory(found.model)
    for given, words in ((found, "two features or more"), (bare, "load the trajectory with them")):
        with pytest.raises(ConfigError, match=words):
            trajectories.ways(given)
    with pytest.raises(ConfigError, match="format must be"):
        trajectories.ways(found, format="bmp")
