"""The examples in the docstrings of families and layers run, and every model has one."""

import doctest
import importlib
import inspect
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

ROOT = Path(__file__).parent.parent
PATHS = sorted(
    path.relative_to(ROOT)
    for folder in ("nets", "nets/layers")
    for path in (ROOT / folder).glob("*.py")
    if path.stem != "__init__"
)


def load(path):
    return importlib.import_module(".".join(path.with_suffix("").parts))


def models(module):
    """The public Linen classes that a module defines, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, nn.Module)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_examples(path):
    module = load(path)
    names = {"jax": jax, "jnp": jnp, "nn": nn} | vars(module)
    assert doctest.testmod(module, globs=names).failed == 0


def test_every_model_has_an_example():
    modules = [load(path) for path in PATHS if path.parent == Path("nets")]
    classes = [model for module in modules for model in models(module).values()]
    assert len(classes) > 40
    assert [model.__name__ for model in classes if ">>>" not in (model.__doc__ or "")] == []
