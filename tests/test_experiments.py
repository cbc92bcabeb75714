"""Every experiment is built and shape-checked.

Those for ImageNet are not described layer by layer, which would take minutes.
"""

import dataclasses
import functools
import re

import jax
import pytest

from nets.cli import catalogue, checks, config
from nets.cli.catalogue import load
from nets.cli.resolve import known_metadata, resolve
from nets.errors import UserError
from nets.inspect.summary import describe
from nets.train import train_state
from nets.train.experiment import batch_struct
from nets.train.step import make_train_step
from tests.support.experiments import FOLDER, resolved

LISTED = {entry.name: entry for entry in catalogue.listing(FOLDER)}
NAMES = list(LISTED)
IMAGENET = [name for name in NAMES if name.endswith("_imagenet")]

DEFINES = "\ndef variants("


def shortcoming(measured: str, parameters: int) -> str | None:
    """The part that an experiment's `Measured:` paragraph lacks: a result, a time, a reason.

    Args:
        parameters: how many the model has, to be said where it was not trained.
    """
    if re.search("pending|not measured|todo", measured, re.IGNORECASE):
        return "it is not measured yet"
    if measured.startswith("not trained"):
        counts = re.findall(r"([\d,]+) parameters", measured)
        return None if counts == [f"{parameters:,}"] else f"it has {parameters:,} parameters"
    time = r"\b\d+(\.\d+)? (s|min|h)\b"
    if not re.search(time, measured):
        return "no time is given"
    others = rf"{time}|jax [\d.]+|--\S+"  # numbers that are no results
    found = re.search(r"\d\.\d|\d%|\de-\d", re.sub(others, "", measured))
    return None if found else "no result is given"


@pytest.mark.parametrize(
    ("measured", "lacks"),
    [
        ("test accuracy 0.993; 12 s. Seed 0, two cores, jax 0.10.2.", None),
        ("97.3% within 0.04; 5 min 4 s", None),
        ("test loss 3e-5; 1.5 h", None),
        ("not trained here, for want of the data; 1,234 parameters", None),
        ("not trained to its end here: 60 steps of 5.6 s would take 3 h; 1,234 parameters", None),
        ("", "no time is given"),
        ("not measured", "it is not measured yet"),
        ("test accuracy 0.9, time pending 3 s", "it is not measured yet"),
        ("not trained here", "it has 1,234 parameters"),
        ("not trained here; 12 s and 0.99", "it has 1,234 parameters"),
        ("not trained here; 1,235 parameters", "it has 1,234 parameters"),
        ("not trained here; 11,234 parameters", "it has 1,234 parameters"),
        ("test accuracy 0.993", "no time is given"),
        ("test accuracy 0.993 after 12 steps", "no time is given"),
        ("12 s", "no result is given"),
        ("12.5 s. Seed 0, two cores, jax 0.10.2.", "no result is given"),
        ("test accuracy good; 12 s", "no result is given"),
        ("test accuracy with --optimizer.learning_rate=0.05; 12 s", "no result is given"),
    ],
)
def test_what_an_experiment_says_of_itself_is_checked(measured, lacks):
    assert shortcoming(measured, 1234) == lacks


@pytest.mark.parametrize("name", sorted({*NAMES} - {*IMAGENET}))
def test_every_experiment_fits_together(name):
    experiment = resolved(load(name, FOLDER))
    checks.checked(experiment, known_metadata(experiment.data)[0])
    described = describe(
        experiment.model,
        experiment.task,
        experiment.optimizer.build(experiment.steps),
        batch_struct(experiment.data),
        config.to_dict(experiment),
    )
    assert described["parameters"] > 0 and described["multiply_adds"] > 0
    assert sum(layer["parameters"] for layer in described["layers"]) == described["parameters"]
    assert shortcoming(LISTED[name].measured, described["parameters"]) is None


@pytest.mark.parametrize("name", IMAGENET)
def test_every_experiment_for_imagenet_trains_the_parameters_that_it_names(name):
    experiment = resolved(load(name, FOLDER))
    state = jax.eval_shape(train_state.make_init(experiment))
    loss, (_, metrics) = jax.eval_shape(
        functools.partial(experiment.task.loss, experiment.model, train=True),
        state.params,
        state.model_state,
        batch_struct(experiment.data),
        jax.eval_shape(lambda: jax.random.key(0)),
    )
    assert loss.shape == () and {experiment.monitor, "top5"} <= {*metrics}
    count = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    assert shortcoming(LISTED[name].measured, count) is None
    (_, *image), _ = experiment.data.spec().arrays["inputs"]
    assert image == [experiment.data.image_size] * 2 + [3]
    assert experiment.data.spec().metadata["num_classes"] == experiment.model.num_classes == 1000


@pytest.mark.parametrize(
    "name", [name for name, path in catalogue.files(FOLDER).items() if DEFINES in path.read_text()]
)
def test_every_variant_can_be_trained(name):
    for variant, experiment in catalogue.variants(name, FOLDER).items():
        experiment = checks.checked(resolved(experiment), known_metadata(experiment.data)[0])
        state = jax.eval_shape(train_state.make_init(experiment))
        update, batch = make_train_step(experiment), batch_struct(experiment.data)
        assert "loss" in jax.eval_shape(update, state, batch)[1], variant


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_advertises_itself(name):
    summary = LISTED[name].summary
    assert summary and f"--experiment={name}" in catalogue.find(name, FOLDER).read_text()


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_has_a_help(name):
    silent = [leaf.path for leaf in config.leaves(load(name, FOLDER)) if not leaf.help]
    assert silent == []


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("vgg16_imagenet", {"data.image_size": 31}, "at least 32 x 32 pixels"),
        ("resnet50_imagenet", {"task.auxiliary": 0.3}, "auxiliary must be 0 for ResNet"),
        ("googlenet_imagenet", {"model.auxiliary": False}, "auxiliary must be 0 for GoogLeNet"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_compiles(name, changes, message):
    with pytest.raises(UserError, match=message):
        experiment = resolved(config.replace(load(name, FOLDER), changes))
        checks.checked(experiment, known_metadata(experiment.data)[0])


def test_what_the_model_leaves_open_comes_from_the_data():
    experiment = load("lenet5_digits", FOLDER)
    assert experiment.model.num_classes is None
    assert resolve(experiment, {"num_classes": 7}).model.num_classes == 7
    fixed = dataclasses.replace(experiment, model=experiment.model.clone(num_classes=3))
    with pytest.raises(UserError, match="^model.num_classes must be the data's, 7, .* got 3"):
        resolve(fixed, {"num_classes": 7})
    assert resolve(experiment, {}).model.num_classes is None
