"""SIGTERM, SIGINT and SIGHUP only set a flag; whoever works polls it and leaves in good order."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from nets.train import sharding


class Stopped(Exception):
    """A signal stopped the work.

    Attributes:
        code: the exit code, 128 + the signal's number.
        interrupt: whether the signal was SIGINT, Ctrl-C.
    """

    def __init__(self, signum: int) -> None:
        self.code, self.interrupt = 128 + signum, signum == signal.SIGINT
        super().__init__(f"stopped by {signal.Signals(signum).name}")


class Signals:
    """Within `with Signals() as signals`, the three signals are caught and remembered.

    One that the process was told to ignore (SIGHUP under nohup) stays ignored. To be entered after
    `jax.distributed.initialize`, which takes SIGTERM for itself.

    Args:
        exit_at_second: whether a second signal ends the process at once; without, it is ignored.
    """

    def __init__(self, exit_at_second: bool = True) -> None:
        self.received: int | None = None
        self._exit_at_second = exit_at_second
        self._old: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(signum) == signal.SIG_IGN:
                continue
            self._old[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, _frame: object) -> None:
        if self.received is not None and self._exit_at_second:
            os._exit(128 + signum)
        self.received = signum

    def flags(self, mesh: Mesh) -> jax.Array:
        """This process's flag [devices], one element for each of its devices, for the jitted step.

        The step returns the maximum over all processes, so that all stop at the same step.
        """
        number = np.full(mesh.size, self.received or 0, np.int32)
        return jax.make_array_from_callback(number.shape, sharding.rows(mesh), lambda i: number[i])

    def agree(self) -> int | None:
        """The maximum signal number that any process has received (all processes must call)."""
        if jax.process_count() == 1:
            return self.received
        from jax.experimental.multihost_utils import process_allgather

        return int(np.max(process_allgather(np.int32(self.received or 0)))) or None

    def run(self, work: Callable[[], Any], to_end: bool = False) -> Any:
        """The result of `work()`, done in a thread while this one stays able to hear signals.

        A compilation never returns to Python, where handlers run, before it is done.

        Args:
            to_end: whether a signal leaves it time to end, as there is something to save after it.

        Raises:
            Stopped: a signal came first, not `to_end`, and this is the only process; the thread is
                left behind.
        """
        outcome: list[Any] = []

        def target():
            try:
                outcome.append((work(), None))
            except BaseException as error:  # handed to the caller below
                outcome.append((None, error))

        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.05)
            if self.received is not None and not to_end and jax.process_count() == 1:
                raise Stopped(self.received)
        result, error = outcome[0]
        if error is not None:
            raise error
        return result
