"""Fixtures for tests of pictures."""

import contextlib

import pytest

from nets.report import figures as base
from nets.report import line_plot


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, laid out but not saved."""
    made, saved = [], base.saved

    @contextlib.contextmanager
    def kept(path):
        with saved(path) as canvas:
            yield canvas
            made.append(canvas)

    for module in (base, line_plot):
        monkeypatch.setattr(module, "saved", kept)
    return made
