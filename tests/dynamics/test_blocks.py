import torch

from multisi.dynamics.blocks import Blocks


def test_rows_come_from_blocks_of_bounded_memory():
    made = []

    def make(part):
        made.append(part)
        rows = torch.arange(10.0)[part]
        return rows, -rows

    table = Blocks(make, 2**19)  # Numbers a row: ten rows at once would be too many.
    for i in (0, 1, 2, 3, 7, 9, 4):
        assert [part.item() for part in table[i]] == [i, -i]
    assert len(made) < 7
    assert all(part.stop - part.start < 10 for part in made)
