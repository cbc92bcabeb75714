"""Every experiment's update, whole, is lowered for TPUs and GPUs on a machine that has neither.

Not on the way: cuDNN's LSTM, which is chosen, and can be lowered, where there is a GPU alone.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from nets.cli import catalogue
from nets.cli.catalogue import load
from nets.cli.resolve import known_metadata, resolve
from nets.train import train_state
from nets.train.experiment import batch_struct
from nets.train.step import make_train_step

FOLDER = Path(__file__).parent.parent / "experiments"
PLATFORMS = ("tpu", "cuda")


def exported(step, *shapes):
    return jax.export.export(jax.jit(step), platforms=PLATFORMS)(*shapes)


def case(name):
    """An experiment by name; one that takes seconds is slow."""
    deep = name.endswith(("_imagenet", "_voc")) or name.startswith(
        ("densenet", "fractalnet", "wide_resnet")
    )
    return pytest.param(name, marks=[pytest.mark.slow] if deep else [])


@pytest.mark.parametrize("name", [case(entry.name) for entry in catalogue.listing(FOLDER)])
def test_every_update_is_lowered_for_accelerators(name):
    experiment = load(name, FOLDER)
    experiment = resolve(experiment, known_metadata(experiment.data)[0])
    state = jax.eval_shape(train_state.make_init(experiment))
    found = exported(make_train_step(experiment), state, batch_struct(experiment.data))
    assert found.platforms == PLATFORMS
    after, metrics = jax.tree.unflatten(found.out_tree, found.out_avals)
    assert jax.tree.map(shape, after) == jax.tree.map(shape, state)  # so that it can go on
    assert {"loss", "grad_norm"} <= {*metrics}


def shape(a):
    return a.shape, str(a.dtype)


X = jax.ShapeDtypeStruct((3, 3), "float32")


def calls_back(x):
    return jax.pure_callback(lambda x: x, X, x)


def eigenvalues(x):  # LAPACK's
    return jnp.linalg.eigvals(x).real


def named_call(x):
    return jax.ffi.ffi_call("only_a_cpu_has_this", X)(x)


@pytest.mark.parametrize(
    "step, message",
    [
        (calls_back, "callback"),
        (eigenvalues, "'eig' not found for platform"),
        (named_call, "only_a_cpu_has_this"),
    ],
)
def test_what_accelerators_do_not_have_is_refused(step, message):
    with pytest.raises((NotImplementedError, ValueError), match=message):
        exported(lambda x: step(2 * x), X)


def test_what_stands_for_a_cpu_alone_is_not_lowered():
    def step(x):
        return jax.lax.platform_dependent(x, cpu=eigenvalues, default=lambda x: x[0])

    assert exported(step, X).platforms == PLATFORMS
