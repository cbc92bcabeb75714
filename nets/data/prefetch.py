"""Batches made in threads, ahead of their use."""

import collections
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from nets.data.dataset import Batch


def prefetch(batches: Sequence[Batch], threads: int, start: int = 0) -> Iterator[Batch]:
    """The batches from `start` on, in their order; a few are made ahead in threads."""
    pool = ThreadPoolExecutor(threads)
    try:
        ahead = collections.deque()
        for i in range(start, len(batches)):
            ahead.append(pool.submit(batches.__getitem__, i))
            if len(ahead) > max(4, threads):
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
