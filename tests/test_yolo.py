"""YOLO: published counts, and the loss of the paper's equation 3 by a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets import yolo
from nets.layers.detections import Objects
from nets.yolo import YOLO
from tests.support.plain_boxes import iou


def counts(model, side):
    """Parameters of each layer, by its path."""
    x = jnp.zeros((1, side, side, 3))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
    sizes = {}
    for path, a in jax.tree_util.tree_flatten_with_path(shapes["params"])[0]:
        name = "/".join(key.key for key in path[:-1])
        sizes[name] = sizes.get(name, 0) + a.size
    return sizes


def count(model, side):
    return sum(counts(model, side).values())


def test_the_published_network_has_its_published_parameters():
    assert count(YOLO("full", num_classes=20), 448) == 271_703_550


FAST = {
    "conv1": 448,  # 3x3x3 x 16 + 16
    "conv2": 4_640,  # 3x3x16 x 32 + 32
    "conv3": 18_496,  # 3x3x32 x 64 + 64
    "conv4": 73_856,  # 3x3x64 x 128 + 128
    "conv5": 295_168,  # 3x3x128 x 256 + 256
    "conv6": 1_180_160,  # 3x3x256 x 512 + 512
    "conv7": 4_719_616,  # 3x3x512 x 1024 + 1024
    "conv8": 9_438_208,  # 3x3x1024 x 1024 + 1024
    "conv9": 9_438_208,
    "fc1": 12_845_312,  # 7x7x1024 x 256 + 256
    "fc2": 1_052_672,  # 256 x 4096 + 4096
    "output": 6_022_590,  # 4096 x 7x7x(2x5 + 20) + 1470
}
"""The nine convolutions of the fast form (section 2), their channels those of the authors'
program, as are its two dense layers before the output."""

VGG16 = {
    "backbone/features_0": 1_792,  # 3x3x3 x 64 + 64
    "backbone/features_2": 36_928,  # 3x3x64 x 64 + 64
    "backbone/features_5": 73_856,  # 3x3x64 x 128 + 128
    "backbone/features_7": 147_584,  # 3x3x128 x 128 + 128
    "backbone/features_10": 295_168,  # 3x3x128 x 256 + 256
    "backbone/features_12": 590_080,  # 3x3x256 x 256 + 256
    "backbone/features_14": 590_080,
    "backbone/features_17": 1_180_160,  # 3x3x256 x 512 + 512
    "backbone/features_19": 2_359_808,  # 3x3x512 x 512 + 512
    "backbone/features_21": 2_359_808,
    "backbone/features_24": 2_359_808,
    "backbone/features_26": 2_359_808,
    "backbone/features_28": 2_359_808,
    "conv1": 4_719_616,  # 3x3x512 x 1024 + 1024
    "conv2": 9_438_208,  # 3x3x1024 x 1024 + 1024, with stride 2: 14x14 to 7x7
    "conv3": 9_438_208,
    "conv4": 9_438_208,
    "fc1": 205_524_992,  # 7x7x1024 x 4096 + 4096
    "output": 6_022_590,
}
"""The thirteen convolutions of VGG-16, and in place of its dense layers the last four convolutions
and the two dense layers of the full form (section 2.2)."""


@pytest.mark.parametrize(
    "form, layers, total", [("fast", FAST, 45_089_374), ("vgg16", VGG16, 259_296_510)]
)
def test_each_layer_has_the_parameters_of_its_window_and_channels(form, layers, total):
    assert counts(YOLO(form, num_classes=20), 448) == layers
    assert sum(layers.values()) == total


@pytest.mark.parametrize(
    "form, side, grid", [("fast", 448, 7), ("vgg16", 448, 7), ("small", 128, 8), ("medium", 128, 8)]
)
def test_each_form_has_the_grid_of_its_strides(form, side, grid):
    model, x = YOLO(form, num_classes=20), jnp.zeros((2, side, side, 3))
    out = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0]
    assert out.shape == (2, grid, grid, 30)


def plain_losses(outputs, boxes, classes, a, height, width):
    """Equation 3, object by object."""
    rows, columns = outputs.shape[:2]
    parts = {"coordinates": 0.0, "object": 0.0, "no_object": 0.0, "classes": 0.0}
    used, cells = set(), set()

    def predicted(i, j, k):
        x, y, rw, rh, c = outputs[i, j, 5 * k : 5 * k + 5]
        cx, cy, w, h = (
            (j + x) / columns * width,
            (i + y) / rows * height,
            rw**2 * width,
            rh**2 * height,
        )
        return (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), (x, y, rw, rh), c

    for box, label in zip(boxes, classes, strict=True):
        if label < 0:
            continue
        gx, gy = (box[0] + box[2]) / 2 / width * columns, (box[1] + box[3]) / 2 / height * rows
        j, i = int(gx), int(gy)
        if (i, j) in cells:
            continue
        cells.add((i, j))
        true = (
            gx - j,
            gy - i,
            np.sqrt((box[2] - box[0]) / width),
            np.sqrt((box[3] - box[1]) / height),
        )
        overlaps = [iou(predicted(i, j, k)[0], box) for k in range(a)]
        errors = [
            sum((u - v) ** 2 for u, v in zip(predicted(i, j, k)[1], true, strict=True))
            for k in range(a)
        ]
        k = int(np.argmax(overlaps)) if max(overlaps) > 0 else int(np.argmin(errors))
        used.add((i, j, k))
        parts["coordinates"] += errors[k]
        parts["object"] += (predicted(i, j, k)[2] - overlaps[k]) ** 2
        for c, p in enumerate(outputs[i, j, 5 * a :]):
            parts["classes"] += (p - (c == label)) ** 2
    for i in range(rows):
        for j in range(columns):
            for k in range(a):
                if (i, j, k) not in used:
                    parts["no_object"] += predicted(i, j, k)[2] ** 2
    return parts


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_that_of_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    rows, columns, a, height, width = 3, 4, 2, 60, 100
    outputs = rng.uniform(0.05, 0.9, (rows, columns, 5 * a + 3))
    low = rng.uniform(0, [70, 40], (6, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, [30, 20], (6, 2))], 1)
    boxes[5] = boxes[4]  # a second object of the same cell
    classes = np.array([0, 2, 1, -1, 1, 0])
    objects = Objects(jnp.array(boxes, jnp.float32), jnp.array(classes))
    found = yolo.losses(a, (height, width), jnp.array(outputs, jnp.float32), objects)
    want = plain_losses(outputs, boxes, classes, a, height, width)
    assert found.keys() == want.keys()
    for name in want:
        np.testing.assert_allclose(found[name], want[name], rtol=2e-5)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"form": "tiny"}, "YOLO.form must be one of full, fast, vgg16, small, medium, got"),
        ({"num_classes": None}, "YOLO.num_classes must be at least 0"),
        ({"boxes": 0}, "YOLO.boxes must be at least 1, got 0"),
        ({"limit": 0}, "YOLO.limit must be at least 1, got 0"),
        ({"nms_iou": 7}, "YOLO.nms_iou must be at least 0 and at most 1, got 7"),
        ({"min_score": -1}, "YOLO.min_score must be at least 0, got -1"),
        ({"num_classes": 0}, "YOLO.num_classes must be at least 1, got 0"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, message):
    model = YOLO(**{"form": "small", "num_classes": 3} | fields)
    with pytest.raises(ValueError, match=message):
        count(model, 64)


def test_an_image_without_objects_only_lowers_confidences():
    outputs = jnp.full((2, 2, 13), 0.5)
    objects = Objects(jnp.zeros((3, 4)), jnp.full(3, -1))
    grads = jax.grad(lambda o: sum(yolo.losses(2, (32, 32), o, objects).values()))(outputs)
    assert np.isfinite(grads).all()
    nonzero = np.flatnonzero(np.abs(grads).sum((0, 1)))
    assert nonzero.tolist() == [4, 9]


def test_a_perfect_output_is_decoded_to_its_boxes():
    outputs = np.zeros((1, 4, 4, 12), np.float32)
    outputs[0, 1, 2, :5] = 0.5, 0.25, np.sqrt(0.5), np.sqrt(0.25), 1.0
    outputs[0, 1, 2, 10:] = 0, 1
    boxes, confidence, classes = yolo.split(jnp.array(outputs[0]), 2)
    corners = yolo.to_corners(boxes, (64, 128))
    # the middle at x = 2.5 / 4 * 128 = 80, y = 1.25 / 4 * 64 = 20; 64 wide, 16 high
    assert corners[1, 2, 0].tolist() == pytest.approx([48, 12, 112, 28], abs=1e-4)
    assert confidence[1, 2, 0] == 1 and classes[1, 2].tolist() == [0, 1]


def test_detections_are_the_same_for_each_image_of_a_batch():
    model, x = (
        YOLO("small", num_classes=2, min_score=0.0, limit=5),
        jax.random.normal(jax.random.key(1), (2, 64, 64, 1)),
    )
    variables = model.init(jax.random.key(0), x, train=False)
    both = model.apply(variables, x, method="detect")
    one = model.apply(variables, x[1:], method="detect")
    assert both.boxes.shape == (2, 5, 4) and both.classes.shape == (2, 5)
    for a, b in zip(both, one, strict=True):
        np.testing.assert_allclose(a[1:], b, rtol=1e-4, atol=1e-4)
    assert (np.diff(both.scores, axis=1) <= 0).all()
