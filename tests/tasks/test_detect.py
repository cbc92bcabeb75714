"""The task of detection: what an evaluation collects, and its figures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets import yolo
from nets.convnet import ConvNet
from nets.faster_rcnn import FasterRCNN
from nets.layers.detections import Detections, Objects
from nets.layers.region_proposals import Regions
from nets.report.box_grid import BoxGrid
from nets.tasks import metrics
from nets.tasks.detect import Detect, by_image
from nets.tasks.task import Trained
from nets.yolo import YOLO


class Oracle(nn.Module):
    """Finds, in each image, the box that its first pixels name."""

    @nn.compact
    def __call__(self, x, *, train):
        return self.param("w", nn.initializers.ones, ()) * x[:, 0, :4, 0]

    def losses(self, x, objects, *, train):
        boxes = self(x, train=train)
        return {"distance": jnp.abs(boxes - objects.boxes[:, 0]).sum(-1)}

    def detect(self, x):
        boxes = self(x, train=False)[:, None]
        return Detections(boxes, jnp.full(boxes.shape[:2], 0.9), jnp.ones(boxes.shape[:2], int))


class Proposer(Oracle):
    """Proposes the box that it finds and another, from anchors of four pixels."""

    def proposals_of(self, x):
        boxes = jnp.stack([self(x, train=False), jnp.zeros((len(x), 4))], 1)
        anchors = [jnp.array([[0.0, 0, 4, 4], [2.0, 2, 6, 6]]), jnp.array([[4.0, 4, 8, 8]])]
        return anchors, Regions(boxes, jnp.array([[True, False]] * len(x)))


BOXES = np.array([[1, 1, 5, 5], [2, 2, 6, 7], [0, 0, 3, 3]], np.float32)
METADATA = {
    "num_classes": 2,
    "class_names": ["cat", "dog"],
    "pixel_scale": [1],
    "pixel_offset": [0],
}


@pytest.fixture
def batch():
    images = np.zeros((3, 8, 8, 1), np.float32)
    images[:, 0, :4, 0] = BOXES
    images[1, 0, :4, 0] = [5, 5, 8, 8]  # found at the wrong place
    boxes = np.stack([BOXES, np.zeros_like(BOXES)], 1)
    targets = np.array([[1, -1], [1, -1], [1, -1]])
    mask = np.array([1, 1, 0], np.float32)  # the last fills up
    return {"inputs": images, "boxes": boxes, "targets": targets, "mask": mask}


def evaluated(batch, model=None):
    task, model = Detect(), model or Oracle()
    params, state = task.init(model, jax.random.key(0), batch)
    _, found = task.test(model, params, state, batch, jax.random.key(0), True)
    return task, model, params, metrics.add({}, found)


def test_average_precision_counts_the_rows_of_the_mask(batch):
    task, *_, totals = evaluated(batch)
    values = task.finish(totals, METADATA, None)
    # two objects; by equal scores the first, right, comes before the wrong one
    assert values["map50"] == pytest.approx(0.5)
    assert values["map50_voc07"] == pytest.approx(6 / 11)
    distance = np.abs(np.array([5, 5, 8, 8]) - BOXES[1]).sum()
    assert values["loss"] == values["distance"] == pytest.approx(distance / 2)


def test_figures_have_each_image_with_its_boxes(batch, tmp_path):
    task, model, params, totals = evaluated(batch)
    trained = Trained(model, params, {}, METADATA, None, None, jax.random.key(0))
    figures = task.figures(trained, [batch], totals, final=True)
    grid = figures["detections"]
    assert isinstance(grid, BoxGrid) and len(by_image(totals)) == len(grid.images) == 2
    assert [box.kind for box in grid.boxes[0]] == ["true", "detected"]
    assert grid.boxes[0][1].label == "dog 0.90"
    assert list(figures["precision"].curves) == ["dog (AP 0.500)"]
    for name, figure in figures.items():
        assert figure.write(tmp_path, name).is_file()
    assert task.figures(trained, [batch], totals, final=False) == {}


def test_boxes_of_a_prediction_are_in_pixels_of_the_image(batch, tmp_path):
    """The model has read an image of 30 x 20 pixels, 10 of them right of it, at half its size."""
    task, model, params, _ = evaluated(batch)
    found = task.outputs(model, params, {}, {"inputs": batch["inputs"][:1]})
    outputs = jax.device_get(found)
    matrix = np.array([[0.5, 0, -5], [0, 0.5, 0], [0, 0, 1]])
    source = {"image": np.zeros((8, 19, 3), np.uint8), "matrix": matrix, "size": np.array([8, 8])}
    trained = Trained(model, params, {}, METADATA, None, None, jax.random.key(0))
    prediction = task.prediction(trained, source, outputs)
    assert prediction.summary == "dog 0.90"
    assert (prediction.values["width"], prediction.values["height"]) == (19, 8)
    (row,) = prediction.values["objects"]
    assert row["class"] == "dog" and row["id"] == 1 and row["score"] == pytest.approx(0.9)
    assert row["box"] == [12, 2, 19, 8]  # from 1 1 5 5 to 12 2 20 10, cut at the border
    (box,) = prediction.figure.boxes[0]
    assert box.label == "dog 0.90" and list(box.corners) == row["box"]
    assert prediction.figure.write(tmp_path, "a").is_file()


def test_a_prediction_without_an_object_says_so(batch, tmp_path):
    task, model, params, _ = evaluated(batch)
    trained = Trained(model, params, {}, METADATA, None, None, jax.random.key(0))
    source = {"image": np.zeros((8, 9, 1), np.uint8), "matrix": np.eye(3), "size": np.array([8, 9])}
    for scores, classes, summary in (
        ([0.2, 0], [0, -1], "no object with a score of at least 0.3; the best is 0.20"),
        ([0, 0], [-1, -1], "no object with a score of at least 0.3"),
    ):
        arrays = np.zeros((1, 2, 4)), np.float32([scores]), np.array([classes])
        prediction = task.prediction(trained, source, Detections(*arrays))
        assert prediction.summary == summary and prediction.figure.boxes == ((),)
        assert len(prediction.values["objects"]) == sum(k >= 0 for k in classes)
        assert prediction.figure.title == "No object with a score of at least 0.3"
        assert prediction.figure.write(tmp_path, "a").is_file()


def test_a_model_with_proposals_shows_the_way_from_anchors_to_detections(batch, tmp_path):
    batch["boxes"][0, 0] = [3, 1, 6, 5]  # shares 9 pixels with the second anchor, 3 with the first
    task, model, params, totals = evaluated(batch, Proposer())
    trained = Trained(model, params, {}, METADATA, None, None, jax.random.key(0))
    figure = task.figures(trained, [batch], totals, final=True)["proposals"]
    drawn = [[(box.kind, box.corners) for box in panel] for panel in figure.boxes]
    assert [panel[0] for panel in drawn] == [("true", (3, 1, 6, 5))] * 3
    assert [panel[1:] for panel in drawn] == [
        [("anchor", (2, 2, 6, 6))],
        [("proposal", (1, 1, 5, 5))],
        [("detected", (1, 1, 5, 5))],
    ]
    assert figure.write(tmp_path, "proposals").is_file()


def test_images_without_objects_count_in_average_precision_and_train(batch):
    """The detection in the second image, of which nothing is true, comes before the right one."""
    batch["targets"][1], batch["boxes"][1] = -1, 0
    task, model, params, totals = evaluated(batch)
    assert task.finish(totals, METADATA, None)["map50"] == 1  # by equal scores the first is first
    batch["mask"][:2], batch["targets"][0], batch["targets"][1] = 1, -1, [1, -1]
    batch["boxes"][1, 0] = [5, 5, 8, 8]  # now the first image has none, and the second's is right
    assert task.finish(evaluated(batch)[3], METADATA, None)["map50"] == 0.5
    batch["targets"][:] = -1
    values = task.finish(evaluated(batch)[3], METADATA, None)
    assert np.isnan(values["map50"]) and np.isfinite(values["loss"])


@pytest.mark.parametrize("kind", ["yolo", "faster_rcnn"])
def test_a_batch_without_any_object_has_finite_gradients(kind):
    model = YOLO("small", num_classes=2)
    if kind == "faster_rcnn":
        sizes = {"candidates": (16, 16), "proposals": (8, 8), "regions_per_image": 4}
        backbone = ConvNet((4, 4, 4), (3, 3, 3), num_classes=0)
        model = FasterRCNN(
            backbone, ("conv3",), None, 2, sizes=(16.0,), hidden=4, anchors_per_image=8, **sizes
        )
    images = jax.random.normal(jax.random.key(0), (2, 64, 64, 1))
    empty = {"boxes": jnp.zeros((2, 3, 4)), "targets": jnp.full((2, 3), -1)}
    task, batch = Detect(), {"inputs": images, **empty}
    params, state = jax.jit(lambda k: task.init(model, k, batch))(jax.random.key(1))

    def loss(params):
        return task.loss(model, params, state, batch, jax.random.key(2), train=True)

    (value, _), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    assert np.isfinite(value) and value > 0
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))


def test_inverted_boxes_and_boxes_outside_leave_the_losses_finite():
    """Data refuses such boxes; what reaches a model by other ways spoils no parameter."""
    boxes = jnp.array([[[30.0, 30, 10, 10], [90, 90, 120, 130], [-50, -50, -9, -9]]])
    outputs = jnp.full((4, 4, 12), 0.4)

    def loss(outputs):
        return sum(yolo.losses(2, (64, 64), outputs, Objects(boxes[0], jnp.zeros(3, int))).values())

    value, gradient = jax.value_and_grad(loss)(outputs)
    assert np.isfinite(value) and np.isfinite(gradient).all()


def test_difficult_objects_are_no_part_of_the_loss(batch):
    difficult = np.array([[False, False], [True, False], [False, False]])
    plain = {**batch, "targets": np.array([[1, -1], [-1, -1], [1, -1]])}
    task, model = Detect(), YOLO("small", num_classes=2)
    images = np.zeros((3, 64, 64, 1), np.float32)
    variables = jax.jit(lambda k: model.init(k, images, train=False))(jax.random.key(0))
    state = {"batch_stats": variables["batch_stats"]}
    losses = []
    for example in ({**batch, "difficult": difficult}, plain, batch):
        arguments = {**example, "inputs": images}, jax.random.key(0), True
        _, sums = task.test(model, variables["params"], state, *arguments)
        losses.append(float(sums["loss"][0]))
    assert losses[0] == losses[1] != losses[2]
