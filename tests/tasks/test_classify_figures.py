"""Pictures of a classifier: mistakes, rejection by hand, the first filters, feature maps."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.cli import checks
from nets.densenet import DenseNet
from nets.errors import UserError
from nets.fractalnet import FractalNet
from nets.googlenet import GoogLeNet
from nets.lenet import LeNet5
from nets.mlp import MLP
from nets.nin import NiN
from nets.resnet import ResNet18
from nets.resnet_cifar import CifarResNet
from nets.tasks import classify_figures, rejection
from nets.tasks.classify import Classify
from nets.tasks.metrics import add
from nets.tasks.task import Trained
from tests.support import toys


def test_rejection_curve_by_hand():
    margin, wrong = np.array([0.9, 0.1, 0.5, 0.6]), np.array([False, True, False, True])
    rejected, error = rejection.curve(margin, wrong)
    np.testing.assert_allclose(rejected, [0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(error, [2 / 4, 1 / 3, 1 / 2, 0])


def test_the_worst_mistakes_come_first_whatever_their_batch():
    logits = np.array([[3.0, 0, 0], [0, 2.0, 0], [0, 0, 9.0], [1.0, 0, 0]], np.float32)
    labels = np.array([0, 0, 1, 0])  # the 2nd and the 3rd are wrong, the 3rd by more
    images = np.arange(4.0).reshape(4, 1, 1, 1)
    batches = [  # the second's last row only fills it
        {"inputs": images[rows], "targets": labels[rows], "mask": np.array(mask)}
        for rows, mask in (([0, 1], [1, 1]), ([2, 3], [1, 1]), ([0, 1], [0, 0]))
    ]

    class Known(nn.Module):
        def __call__(self, x, *, train):
            return jnp.asarray(logits)[x[:, 0, 0, 0].astype(int)]

    totals = {}
    for batch in batches:
        _, metrics = Classify().test(Known(), {}, {}, batch, jax.random.key(0), True)
        totals = add(totals, metrics)
    rows = totals["predictions"]
    np.testing.assert_allclose(rows.values["margin"], [3, 2, 9, 1])
    metadata = {"class_names": ["a", "b", "c"], "pixel_scale": [0.5], "pixel_offset": [-1.0]}
    found = classify_figures.predictions(rows, batches, metadata)
    assert found["mistakes"].captions == ("b read as c", "a read as b")
    np.testing.assert_array_equal(found["mistakes"].images.ravel(), [6, 4])  # 0.5 x - 1 is 2, 1
    assert (found["mistakes"].limits, found["mistakes"].unit) == ((0, 255), "pixel")
    np.testing.assert_array_equal(found["confusion"].values, [[2, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert "2 of 4" in found["confusion"].title and found["confusion"].unit == "examples"
    described = [batch | {"image": batch["inputs"], "inputs": batch["mask"]} for batch in batches]
    again = classify_figures.predictions(rows, described, metadata)
    np.testing.assert_array_equal(again["mistakes"].images, found["mistakes"].images)


@pytest.mark.parametrize(
    ("model", "side", "first"),
    [
        (LeNet5(10), 28, ("C1",)),
        (NiN(10), 32, ("conv1",)),
        (ResNet18(num_classes=10), 64, ("conv1",)),
        (DenseNet(num_classes=10, layers=(2, 2)), 32, ("features", "conv0")),
        (FractalNet(num_classes=10), 32, ("block1", "column3_0", "conv")),
        (GoogLeNet(10, auxiliary=True), 64, ("conv1", "conv")),  # the heads come first by name
        (MLP(num_classes=10), 8, None),
    ],
)
def test_the_first_filters_are_those_of_the_layer_that_is_called_first(model, side, first):
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)

    def init(key, x):
        return model.init(key, x, train=False)

    variables = jax.eval_shape(init, jax.random.key(0), images)
    kernel = classify_figures.first_kernel(model, variables, images)
    if first is None:
        assert kernel is None
        return
    layer = variables["params"]
    for name in first:
        layer = layer[name]
    assert kernel is layer["kernel"] and kernel.shape[2] == 3


class Shades(nn.Module):
    """Stages of the image's own arithmetic."""

    num_classes: int | None = 3

    @nn.compact
    def __call__(self, x, *, train, stages=False):
        x = nn.Conv(2, (1, 1), use_bias=False, kernel_init=nn.initializers.ones)(x)  # [B, 4, 4, 2]
        signs = jnp.array([1.0, -1.0]).reshape(1, 1, 1, 2)
        rows = x.reshape(-1, 2, 2, 4, 2).mean((2, 3))[:, :, None]  # [B, 2, 1, 2]
        seen = {"copies": x, "rows": rows * signs}
        seen["flat"] = x = x.reshape(len(x), -1)
        x = nn.Dense(self.num_classes)(x)
        return (x, seen) if stages else x


def test_feature_maps_by_hand():
    image = np.arange(16.0).reshape(1, 4, 4, 1)
    batch = {"inputs": np.concatenate([image + 7, image]), "mask": np.array([1.0, 1.0])}
    variables = Shades().init(jax.random.key(0), image, train=False)
    found = classify_figures.feature_maps(Shades(), variables, batch, ("rows", "copies"), {})
    assert list(found) == ["maps_rows", "maps_copies"]
    assert found["maps_rows"].captions == ("image", "0", "1")
    assert found["maps_rows"].title.startswith("rows: 2 of 2 maps")
    ramp = image[0] / 15
    np.testing.assert_allclose(found["maps_copies"].images, [ramp, ramp, ramp], atol=1e-6)
    down = np.repeat([0.0, 1.0], 8).reshape(4, 4, 1)  # two places, enlarged to four rows
    np.testing.assert_allclose(found["maps_rows"].images, [ramp, down, 1 - down], atol=1e-6)


def test_a_constant_map_and_a_picture_in_colour():
    image = np.random.default_rng(0).random((1, 4, 4, 3), np.float32)
    batch = {"inputs": image, "mask": np.ones(1)}
    variables = jax.tree.map(jnp.zeros_like, Shades().init(jax.random.key(0), image, train=False))
    metadata = {"pixel_scale": [0.5, 0.1, 0.02], "pixel_offset": [0.0, -0.3, 0.7]}
    found = classify_figures.feature_maps(Shades(), variables, batch, ("copies",), metadata)[
        "maps_copies"
    ]
    assert found.images.shape == (3, 4, 4, 3) and not found.images[1:].any()
    stored = np.stack([image[0, ..., 0] / 0.5, (image[0, ..., 1] + 0.3) / 0.1,
                       (image[0, ..., 2] - 0.7) / 0.02], -1)  # fmt: skip
    np.testing.assert_allclose(found.images[0], (stored - stored.min()) / np.ptp(stored), rtol=1e-5)


def test_a_weight_of_nothing_is_grey():
    image = jnp.zeros((1, 4, 4, 1))
    variables = Shades().init(jax.random.key(0), image, train=False)
    kernel = jnp.array([-0.25, 0.75]).reshape(1, 1, 1, 2)
    variables = {"params": variables["params"] | {"Conv_0": {"kernel": kernel}}}
    found = classify_figures.filters(Shades(), variables, image)["filters"]
    assert found.images.ravel().tolist() == [-0.25, 0.75]
    assert (found.limits, found.unit) == ((-0.75, 0.75), "weight")


@pytest.mark.parametrize(
    ("model", "side", "stage", "maps"),
    [(LeNet5(10), 28, "C3", 16), (CifarResNet(num_classes=10, depth=8, width=4), 32, "layer3", 16)],
)
def test_the_maps_of_a_network_are_drawn_after_training(model, side, stage, maps):
    image = jax.random.normal(jax.random.key(0), (2, side, side, 1))
    batch = {"inputs": image, "targets": jnp.array([0, 1]), "mask": jnp.ones(2)}
    task = Classify(maps=(stage,))
    shapes = jax.eval_shape(lambda key: task.init(model, key, batch), jax.random.key(0))
    params, state = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.1), shapes)
    metadata = {"class_names": list("0123456789")}
    trained = Trained(model, params, state, metadata, None, None, jax.random.key(0))
    _, metrics = task.test(model, params, state, batch, jax.random.key(0), True)
    found = task.figures(trained, [batch], add({}, metrics), final=True)
    assert found[f"maps_{stage}"].images.shape == (1 + maps, side, side, 1)
    assert {"confusion", "rejection", "filters"} <= set(found)


def test_what_is_no_map_is_refused_before_anything_is_trained():
    shades = toys.classifier(model=Shades(), task=Classify(maps=("rows", "copies")))
    metadata = shades.data.metadata()
    assert checks.checked(shades, metadata) is shades
    for wrong in (("row",), ("copies", "flat")):
        with pytest.raises(
            UserError, match=rf"task.maps must be among copies, rows, .* got {wrong[-1]}"
        ):
            checks.checked(dataclasses.replace(shades, task=Classify(maps=wrong)), metadata)


def test_a_model_without_stages_says_so():
    class Plain(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            return nn.Dense(3)(x.reshape(len(x), -1))

    with pytest.raises(UserError, match="task.maps must be empty: Plain hands out no stages"):
        checks.checked(toys.classifier(model=Plain(), task=Classify(maps=("conv1",))), {})
