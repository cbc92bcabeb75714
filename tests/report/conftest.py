"""What tests of pictures share."""

import contextlib

import pytest

from nets.report import draw


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, laid out but not saved."""
    made, saved = [], draw._saved

    @contextlib.contextmanager
    def kept(path):
        with saved(path) as figure:
            yield figure
            made.append(figure)

    monkeypatch.setattr(draw, "_saved", kept)
    return made
