import os
import socket

import pytest

from multisi.files.regular import open_regular, read_regular


def test_bytes_of_a_file_and_of_a_link(tmp_path):
    (tmp_path / "x").write_bytes(b"some bytes")
    (tmp_path / "link").symlink_to("x")
    with open_regular(tmp_path / "link") as file:
        assert file.read(4) == b"some"
    assert read_regular(str(tmp_path / "x"), most_bytes=10) == b"some bytes"
    with pytest.raises(OSError, match="has 10 bytes, more than 9"):
        read_regular(tmp_path / "x", most_bytes=9)


def test_other_things_are_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # The path of a socket is short.
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for place, kind in (
            ("pipe", "a pipe"),
            ("socket", "a socket"),
            (".", "a folder"),
            ("/dev/zero", "a device"),
        ):
            with pytest.raises(OSError, match=f"is {kind}, not a regular file"):
                open_regular(place)
    with pytest.raises(FileNotFoundError, match="gone"):
        read_regular("gone")
