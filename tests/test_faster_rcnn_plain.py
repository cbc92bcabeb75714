"""Faster R-CNN of the published form, in small, against plain loops over positions and boxes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.convnet import ConvNet
from nets.faster_rcnn import FasterRCNN
from nets.layers.detections import Objects
from tests.support import plain_boxes

HEIGHT, WIDTH, STRIDE, CLASSES = 64, 80, 8, 2
SIZES, RATIOS = (16.0, 24.0), (0.5, 1.0, 2.0)
VARIANCES = (0.1, 0.1, 0.2, 0.2)
TRUE = [[([8.0, 9, 30, 27], 1), ([40.0, 30, 71, 62], 0)], []]
"""Corners and class of the objects of two images; the second has none."""


def dense(x, layer):
    return x @ np.asarray(layer["kernel"], float) + np.asarray(layer["bias"], float)


def plain_anchors(rows, columns):
    """Around each position, of each ratio in each size; corners are whole numbers."""
    anchors = []
    for i in range(rows):
        for j in range(columns):
            for ratio in RATIOS:
                for size in SIZES:
                    x = round(size / math.sqrt(ratio) / 2)
                    y = round(size * math.sqrt(ratio) / 2)
                    j0, i0 = j * STRIDE, i * STRIDE
                    anchors.append([j0 - x, i0 - y, j0 + x, i0 + y])
    return anchors


def plain_scores(features, params):
    """The log odds of an object, by the softmax of two scores, and the offsets of each anchor."""
    rows, columns, channels = features.shape
    around = np.pad(np.asarray(features, float), ((1, 1), (1, 1), (0, 0)))
    window = {k: a.reshape(-1, channels) if k == "kernel" else a for k, a in params["conv"].items()}
    one = {
        name: {k: a.reshape(channels, -1) if k == "kernel" else a for k, a in params[name].items()}
        for name in ("logits", "offsets")
    }
    scores, offsets = [], []
    for i in range(rows):
        for j in range(columns):
            h = np.maximum(dense(around[i : i + 3, j : j + 3].reshape(-1), window), 0)
            for background, object_ in dense(h, one["logits"]).reshape(-1, 2):
                shares = np.exp([background, object_]) / np.exp([background, object_]).sum()
                scores.append(math.log(shares[1] / shares[0]))
            offsets += dense(h, one["offsets"]).reshape(-1, 4).tolist()
    return scores, offsets


def clipped(box):
    return np.clip(box, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT)).tolist()


def plain_proposals(anchors, scores, offsets, candidates, limit):
    best = sorted(range(len(scores)), key=lambda i: -scores[i])[:candidates]
    boxes = [clipped(plain_boxes.decode(offsets[i], anchors[i])) for i in best]
    usable = [k for k, b in enumerate(boxes) if b[2] - b[0] >= 1e-3 and b[3] - b[1] >= 1e-3]
    boxes = [boxes[k] for k in usable]
    selected = plain_boxes.nms(boxes, [scores[best[k]] for k in usable], 0.7)
    return [boxes[k] for k in selected][:limit]


def plain_head(features, box, params):
    """Probabilities [K + 1] and offsets [K + 1, 4] of a region."""
    x = plain_boxes.roi_pool(features, box, (7, 7), 1 / STRIDE).reshape(-1)
    for name in ("fc6", "fc7"):
        x = np.maximum(dense(x, params[name]), 0)
    logits = dense(x, params["logits"])
    return np.exp(logits) / np.exp(logits).sum(), dense(x, params["offsets"]).reshape(-1, 4)


def plain_detections(features, boxes, params, min_score, overlap, limit):
    """Scores, classes and boxes, by falling scores."""
    rows = []
    for box in boxes:
        shares, offsets = plain_head(features, box, params)
        for k in range(1, CLASSES + 1):
            if shares[k] >= min_score:
                moved = clipped(plain_boxes.decode(offsets[k], box, VARIANCES))
                rows.append((shares[k], k - 1, moved))
    scores, classes, moved = zip(*rows, strict=True)
    return [rows[i] for i in plain_boxes.nms(moved, scores, overlap, classes)][:limit]


def plain_region_losses(features, regions, objects, params):
    """Over all regions and the objects themselves; a region is an object from half of overlap."""
    true = [box for box, _ in objects]
    regions, entropy, moved = regions + true, 0.0, 0.0
    labels = plain_boxes.match(regions, true, 0.5, 0.5, best_of_each=False)
    assert sum(label >= 0 for label in labels) <= len(labels) // 4, "more than are sampled"
    for box, label in zip(regions, labels, strict=True):
        shares, offsets = plain_head(features, box, params)
        k = objects[label][1] + 1 if label >= 0 else 0
        entropy -= math.log(shares[k])
        if k:
            offset = plain_boxes.encode(true[label], box, VARIANCES)
            moved += plain_boxes.smooth_l1(offsets[k] - offset, 1 / 9)
    return entropy / len(regions), moved / len(regions)


@pytest.fixture(scope="module")
def small():
    """A model, its variables, two images and their maps."""
    model = FasterRCNN(
        ConvNet((8,) * 4, (3,) * 4, num_classes=0), ("conv4",), None, CLASSES, SIZES, RATIOS,
        hidden=16, pooling="pool", two_scores=True, candidates=(90, 60), proposals=(30, 12),
        anchors_per_image=2000, regions_per_image=100, min_score=0.2, nms_iou=0.3, limit=9,
        multiple=8,
    )  # fmt: skip
    x = jax.random.normal(jax.random.key(1), (2, HEIGHT, WIDTH, 1))
    variables = jax.jit(lambda k: model.init(k, x, train=False))(jax.random.key(0))
    params = jax.tree.map(np.array, variables["params"])
    for layer, factor in (("rpn", 20.0), ("logits", 30.0), ("offsets", 300.0)):
        params[layer] = jax.tree.map(lambda a, f=factor: a * f, params[layer])
    rng = np.random.default_rng(0)  # biases, which are zero at first
    params = jax.tree.map(lambda a: a + rng.normal(0, 0.1, a.shape) * (a.ndim == 1), params)
    variables = variables | {"params": jax.tree.map(jnp.float32, params)}
    backbone = {name: tree["backbone"] for name, tree in variables.items()}
    maps = model.backbone.apply(backbone, x, train=False, stages=True)[1]["conv4"]
    return model, variables, x, np.asarray(maps)


def test_proposals_and_detections_of_the_published_form_are_those_of_a_plain_loop(small):
    model, variables, x, maps = small
    params = variables["params"]

    def apply(x, method):
        return model.apply(variables, x, method=method)

    apply = jax.jit(apply, static_argnums=1)
    (anchors, regions), detections = apply(x, "proposals_of"), apply(x, "detect")
    for b, features in enumerate(maps):
        expected = plain_anchors(*features.shape[:2])
        np.testing.assert_array_equal(anchors[0], expected)
        scores, offsets = plain_scores(features, params["rpn"])
        boxes = plain_proposals(expected, scores, offsets, candidates=60, limit=12)
        count = len(boxes)
        assert count == int(regions.valid[b].sum()) > 5
        np.testing.assert_allclose(regions.boxes[b, :count], boxes, atol=1e-3)
        rows = plain_detections(features, boxes, params, 0.2, 0.3, 9)
        count = len(rows)
        assert count == int((detections.classes[b] >= 0).sum()) > 3
        assert detections.classes[b, :count].tolist() == [row[1] for row in rows]
        np.testing.assert_allclose(detections.scores[b, :count], [r[0] for r in rows], atol=1e-4)
        np.testing.assert_allclose(detections.boxes[b, :count], [r[2] for r in rows], atol=1e-2)


def test_losses_of_the_published_form_are_those_of_a_plain_loop(small):
    """Of so many anchors and regions that all are sampled."""
    model, variables, x, maps = small
    params = variables["params"]
    objects = Objects(
        jnp.array([[box for box, _ in TRUE[0]], [[0.0] * 4] * 2]),
        jnp.array([[k for _, k in TRUE[0]], [-1, -1]]),
    )
    rngs = {"sample": jax.random.key(2)}
    parts = jax.jit(
        lambda x: model.apply(variables, x, objects, train=False, method="losses", rngs=rngs)
    )(x)
    for b, features in enumerate(maps):
        anchors = plain_anchors(*features.shape[:2])
        scores, offsets = plain_scores(features, params["rpn"])
        true = [box for box, _ in TRUE[b]]
        expected = plain_boxes.proposal_losses(anchors, scores, offsets, true)
        regions = plain_proposals(anchors, scores, offsets, candidates=90, limit=30)
        expected += plain_region_losses(features, regions, TRUE[b], params)
        names = "objectness", "proposals", "classes", "boxes"
        np.testing.assert_allclose([parts[k][b] for k in names], expected, rtol=1e-3, atol=1e-6)
