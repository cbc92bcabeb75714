"""Faster R-CNN: published counts, proposals and losses by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.convnet import ConvNet
from nets.faster_rcnn import FasterRCNN, FasterRCNNResNet50FPN, FasterRCNNVGG16
from nets.layers.detections import Objects


def count(model, side):
    x = jnp.zeros((1, side, side, 3))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
    return sum(a.size for a in jax.tree.leaves(shapes["params"]))


def test_the_published_networks_have_their_published_parameters():
    assert count(FasterRCNNVGG16(num_classes=20), 64) == 137_078_239
    assert count(FasterRCNNResNet50FPN(num_classes=90), 64) == 41_755_286


def small(**fields):
    backbone = ConvNet((8, 8, 8), (3, 3, 3), num_classes=0)
    options = {
        "stages": ("conv3",),
        "pyramid": None,
        "num_classes": 2,
        "sizes": (16.0, 32.0),
        "ratios": (1.0,),
        "hidden": 16,
    }
    options |= {"proposals": (20, 10), "regions_per_image": 12, "anchors_per_image": 16}
    return FasterRCNN(backbone, **options | fields)


OBJECTS = Objects(
    jnp.array([[[8.0, 8, 30, 28], [40, 40, 60, 62]], [[0, 0, 0, 0]] * 2]),
    jnp.array([[1, 0], [-1, -1]]),
)


@pytest.mark.parametrize("pyramid", [False, True])
def test_losses_are_finite_and_train_every_parameter(pyramid):
    model = small()
    if pyramid:
        model = small(pyramid=8, sizes=(8.0, 16.0, 32.0), stages=("conv2", "conv3"))
    x = jax.random.normal(jax.random.key(1), (2, 64, 64, 1))
    variables = dict(model.init(jax.random.key(0), x, train=False))
    params = variables.pop("params")

    def loss(params):
        parts, _ = model.apply(
            {"params": params, **variables}, x, OBJECTS, train=True, method="losses",
            rngs={"sample": jax.random.key(2)}, mutable=["batch_stats"],
        )  # fmt: skip
        return sum(p.sum() for p in parts.values()), parts

    (_, parts), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    assert all(np.isfinite(p).all() for p in parts.values())
    # the image without objects has nothing to move
    assert parts["proposals"][1] == 0 and parts["boxes"][1] == 0
    assert parts["proposals"][0] > 0 and parts["objectness"][1] > 0 and parts["classes"][1] > 0
    for path, g in jax.tree_util.tree_flatten_with_path(grads)[0]:
        assert np.isfinite(g).all(), path
        assert np.abs(g).max() > 0, path


def test_detections_do_not_depend_on_the_rest_of_the_batch():
    model = small(min_score=0.0)
    x = jax.random.normal(jax.random.key(1), (2, 64, 64, 1))
    variables = model.init(jax.random.key(0), x, train=False)
    detect = jax.jit(lambda x: model.apply(variables, x, method="detect"))
    both, one = detect(x), detect(x[1:])
    assert (both.classes >= 0).any(1).all()
    for a, b in zip(both, one, strict=True):
        np.testing.assert_allclose(a[1:], b, rtol=1e-3, atol=1e-3)


def test_fields_that_cannot_be_are_refused():
    x = jnp.zeros((1, 64, 64, 1))
    for model, message in (
        (small(stages=("conv9",)), "stages must be of conv1"),
        (small(pyramid=8, sizes=(8.0,)), "sizes must have one size for each of 2 maps"),
        (small(stages=("conv2", "conv3")), "there must be one stage"),
        (small(pyramid=8, pooling="pool"), "pooling must be align with a pyramid"),
        (small(pooling="max"), "FasterRCNN.pooling must be one of align, pool, got 'max'"),
        (small(num_classes=None), "FasterRCNN.num_classes must be at least 0"),
        (small(candidates=(0, 0)), "FasterRCNN.candidates must be at least 1, got 0"),
        (small(candidates=(9,)), r"FasterRCNN.candidates must have 2 values, got \(9,\)"),
        (small(proposals=(9, 0)), "FasterRCNN.proposals must be at least 1, got 0"),
        (small(sizes=()), r"len\(FasterRCNN.sizes\) must be at least 1, got 0"),
        (small(sizes=(0.0, 8.0)), "FasterRCNN.sizes must be positive, got 0.0"),
        (small(ratios=()), r"len\(FasterRCNN.ratios\) must be at least 1, got 0"),
        (small(limit=0), "FasterRCNN.limit must be at least 1, got 0"),
        (small(nms_iou=7), "FasterRCNN.nms_iou must be at least 0 and at most 1, got 7"),
        (small(min_background=0.6), "FasterRCNN.min_background must be at least 0 and at most 0.5"),
        (small(num_classes=0), "FasterRCNN.num_classes must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(lambda m=model: m.init(jax.random.key(0), x, train=False))
