"""How the process gets its memory."""

import os
import sys

TUNABLES = ":".join(
    (
        "glibc.malloc.hugetlb=1",
        "glibc.malloc.mmap_threshold=33554432",
        "glibc.malloc.trim_threshold=1000000000",
        "glibc.malloc.top_pad=16777216",
    )
)


def keep_pages() -> None:
    """Starts this program anew with a malloc that keeps its pages, huge ones where it can.

    XLA on CPU and numpy allocate their temporaries afresh at every call; given back to the system
    in between, each page costs a fault. glibc reads its settings before a program begins, so the
    program replaces itself, once; GLIBC_TUNABLES set by the user is left as it is.
    """
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = TUNABLES
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
