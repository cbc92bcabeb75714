"""The set-up of the process, before jax is imported: malloc, and XLA's convolutions."""

import os
import signal
import sys
from importlib import metadata

TUNABLES = ":".join(
    (
        "glibc.malloc.hugetlb=1",
        "glibc.malloc.mmap_max=0",  # what is mapped by itself goes back when it is freed,
        "glibc.malloc.arena_max=1",  # and so does a thread's own arena
        "glibc.malloc.trim_threshold=10000000000",
        "glibc.malloc.top_pad=16777216",
    )
)
LIBRARY = "--xla_cpu_experimental_ynn_fusion_type"
KNOWN_UNTIL = (0, 13)
"""The first release of jax in which XLA was not seen to know LIBRARY: it ends at unknown flags."""


def leave_at_interrupt() -> None:
    """Ends the process with a line at Ctrl-C, until `nets.train.signals` takes over.

    While modules are imported, Python would print where it was.
    """

    def leave(signum: int, _frame: object) -> None:
        os.write(2, b"stopped by SIGINT before anything began\n")
        os._exit(128 + signum)

    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, leave)


def tune() -> None:
    """Sets XLA's flags, and starts this program anew with a malloc that keeps its pages.

    On CPU, XLA gives its convolutions to YNNPACK, which shares one among the cores only from 128
    channels up; Eigen, which XLA has too, always does, and is as fast on one core.

    XLA and numpy allocate their temporaries afresh at every call; given back to the system in
    between, each page costs a fault. glibc reads its settings before a program begins, so the
    program replaces itself, once.

    What the user has set of either, by XLA_FLAGS or GLIBC_TUNABLES, is left as it is; with
    NETS_TUNE=0 in the environment nothing is done.
    """
    if os.environ.get("NETS_TUNE") == "0":
        return
    flags = os.environ.get("XLA_FLAGS", "")
    try:
        release = tuple(int(part) for part in metadata.version("jax").split(".")[:2])
    except metadata.PackageNotFoundError:  # the launcher tells
        return
    if LIBRARY not in flags and release < KNOWN_UNTIL:
        os.environ["XLA_FLAGS"] = f"{flags} {LIBRARY}=-individual_convolution".strip()
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = TUNABLES
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
