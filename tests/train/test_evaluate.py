"""Batches are made in their order, from where they are asked for, a few ahead of their use."""

import threading

from nets.train import evaluate


class Counted:
    """Stands for a data set and its batches; notes which were asked for."""

    read_threads = 2

    def __init__(self, most: int):
        self.asked, self.most, self.enough = [], most, threading.Event()

    def __len__(self):
        return 100

    def __getitem__(self, i):
        self.asked.append(i)
        if len(self.asked) == self.most:
            self.enough.set()
        return i


def test_batches_come_in_order_and_a_few_are_made_ahead():
    data = Counted(most=5)
    batches = evaluate.read(data, data, start=7)
    assert next(batches) == 7
    assert data.enough.wait(10)  # four more, though nobody has asked for them
    assert sorted(data.asked) == [7, 8, 9, 10, 11]
    assert [next(batches) for _ in range(3)] == [8, 9, 10]
    batches.close()
    assert max(data.asked) <= 14


def test_all_batches_come_once():
    data = Counted(most=100)
    assert list(evaluate.read(data, data)) == list(range(100)) == sorted(data.asked)
