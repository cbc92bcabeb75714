"""Fixtures for tests of pictures."""

import contextlib

import pytest

import nets.report.figures
from nets.report import line_plot


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, laid out but not saved."""
    made, saved = [], nets.report.figures.saved

    @contextlib.contextmanager
    def recorded(path):
        with saved(path) as canvas:
            yield canvas
            made.append(canvas)

    for module in (nets.report.figures, line_plot):
        monkeypatch.setattr(module, "saved", recorded)
    return made
