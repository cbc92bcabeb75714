"""A cache directory of its own for every test of data, and a place for .npz files."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.support.image_sets import forget


@pytest.fixture(autouse=True)
def cache_dir(tmp_path_factory, monkeypatch) -> Path:
    """An empty cache directory; and nothing remembered from another test."""
    root = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(root))
    forget()
    return root / "nets" / "data"


@pytest.fixture
def saved(tmp_path):
    """Writes arrays as .npz and returns the path."""
    count = itertools.count()

    def save(**given) -> str:
        path = tmp_path / f"set{next(count)}.npz"
        np.savez(path, **given)
        return str(path)

    return save
