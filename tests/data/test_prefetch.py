"""Batches are made in their order, from any one on, a few ahead of their use."""

import threading

from nets.data.prefetch import prefetch


class Counted:
    """Batches that note which were requested."""

    def __init__(self, most: int):
        self.requested, self.most, self.enough = [], most, threading.Event()

    def __len__(self):
        return 100

    def __getitem__(self, i):
        self.requested.append(i)
        if len(self.requested) == self.most:
            self.enough.set()
        return i


def test_batches_come_in_order_and_a_few_are_made_ahead():
    data = Counted(most=5)
    batches = prefetch(data, 2, start=7)
    assert next(batches) == 7
    assert data.enough.wait(10)  # four more, though nobody has requested them
    assert sorted(data.requested) == [7, 8, 9, 10, 11]
    assert [next(batches) for _ in range(3)] == [8, 9, 10]
    batches.close()
    assert max(data.requested) <= 14


def test_all_batches_come_once():
    data = Counted(most=100)
    assert list(prefetch(data, 2)) == list(range(100)) == sorted(data.requested)
