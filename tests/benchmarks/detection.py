"""Detection against torch and torchvision, on the same cores.

    python tests/benchmarks/detection.py [--repetitions=7] [--rows=nms,align,window,yolo,rcnn]

Non-maximum suppression and RoI align against a plain loop in torch and, where they load, against
torchvision's compiled operators; then training steps and detection of the small networks that the
experiments train, against twins with the same layers: the sliding window and YOLO written here,
Faster R-CNN torchvision's. Every figure is the median of interleaved repetitions in one
process. Run it on an idle machine; it needs torch and torchvision.
"""

import argparse
import functools

parser = argparse.ArgumentParser()
parser.add_argument("--repetitions", type=int, default=7)
parser.add_argument("--rows", default="nms,align,window,yolo,rcnn")
options = parser.parse_args()

from nets.cli import process  # noqa: E402

process.tune()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from detection_twins import (  # noqa: E402
    COMPILED,
    WindowTwin,
    YoloTwin,
    faster_rcnn_twin,
    ops,
    plain_align,
    plain_nms,
    window_detect,
    window_image_size,
    window_loss,
    yolo_detect,
    yolo_loss,
)
from network_rows import network, waiting  # noqa: E402
from timing import interleaved, show  # noqa: E402

from nets.faster_rcnn import FasterRCNN  # noqa: E402
from nets.layers import boxes as box_functions  # noqa: E402
from nets.layers.roi import pyramid_align, pyramid_level, roi_align  # noqa: E402
from nets.resnet import ResNet  # noqa: E402
from nets.sliding_window import SlidingWindow, window_grid  # noqa: E402
from nets.tasks.detect import Detect  # noqa: E402
from nets.yolo import YOLO  # noqa: E402

SIDE, BATCH, OBJECTS, CLASSES = 128, 8, 5, 10


def random_boxes(count, side, rng):
    """Corners [count, 4] of boxes of 5% to 25% of the side."""
    size = rng.uniform(0.05, 0.25, (count, 2)) * side
    low = rng.uniform(0, side, (count, 2)) - size / 2
    return np.concatenate([low, low + size], 1).astype(np.float32)


def suppression():
    """Boxes of which every box overlaps some: 1,000 to 100, 10,000 to 1,000."""
    for count, limit in ((1000, 100), (10_000, 1000)):
        rng = np.random.default_rng(count)
        boxes, scores = random_boxes(count, 800, rng), rng.random(count, np.float32)
        ours = jax.jit(lambda b, s, limit=limit: box_functions.nms(b, s, 0.7, limit))
        device, theirs = jax.device_put((boxes, scores)), [torch.tensor(a) for a in (boxes, scores)]
        want, result = plain_nms(*theirs, 0.7, limit).numpy(), ours(*device)
        np.testing.assert_array_equal(np.array(result.index)[np.array(result.valid)], want)
        runs = {
            "ours": waiting(functools.partial(ours, *device)),
            "torch": lambda t=theirs, limit=limit: plain_nms(*t, 0.7, limit),
        }
        if COMPILED:
            runs["torchvision"] = lambda t=theirs, limit=limit: ops.nms(*t, 0.7)[:limit]
        show(f"nms of {count:,} boxes to {limit}, ms", interleaved(runs, options.repetitions))


def align():
    """RoI align of one map, forward and with the gradient."""
    for count, side, channels, image in ((32, 16, 64, 128), (256, 50, 256, 800)):
        rng = np.random.default_rng(count)
        features = rng.normal(size=(side, side, channels)).astype(np.float32)
        boxes, scale = random_boxes(count, image, rng).clip(0, image - 1), side / image
        ours = jax.jit(lambda f, b, scale=scale: roi_align(f, b, (7, 7), scale))
        gradient = jax.jit(jax.grad(lambda f, b, ours=ours: ours(f, b).sum()))
        device, (f, b) = jax.device_put((features, boxes)), map(torch.tensor, (features, boxes))
        f = f.movedim(-1, 0).contiguous()
        theirs = {"torch": lambda f, b=b, scale=scale: plain_align(f, b, (7, 7), scale)}
        if COMPILED:
            theirs["torchvision"] = lambda f, b=b, scale=scale: ops.roi_align(
                f[None], [b], (7, 7), scale, 2
            )
        for function in theirs.values():
            np.testing.assert_allclose(ours(*device), function(f).movedim(1, -1), atol=1e-4)
        name = f"align of {count} regions of [{side}, {side}, {channels}]"
        runs = {"ours": waiting(functools.partial(ours, *device))}
        runs |= {k: functools.partial(function, f) for k, function in theirs.items()}
        show(f"{name}, ms", interleaved(runs, options.repetitions))

        def their_gradient(function, f=f):
            f.requires_grad_().grad = None
            function(f).sum().backward()

        runs = {"ours": waiting(functools.partial(gradient, *device))}
        runs |= {k: functools.partial(their_gradient, function) for k, function in theirs.items()}
        show(f"{name}, with the gradient, ms", interleaved(runs, options.repetitions))


def pyramid():
    """RoI align from four maps of a pyramid of an image of 800 pixels."""
    rng, image, channels, strides = np.random.default_rng(0), 800, 256, (4, 8, 16, 32)
    maps = [rng.normal(size=(image // s, image // s, channels)).astype(np.float32) for s in strides]
    boxes, scales = random_boxes(256, image, rng).clip(0, image - 1), [1 / s for s in strides]
    level = pyramid_level(jnp.asarray(boxes), 4)
    ours = jax.jit(lambda m, b, level: pyramid_align(m, b, level, (7, 7), scales))
    device = jax.device_put((maps, boxes, level))
    theirs = [torch.tensor(m).movedim(-1, 0).contiguous() for m in maps]
    b, level = torch.tensor(boxes), torch.tensor(np.array(level))

    def plain():
        regions = torch.empty(len(b), channels, 7, 7)
        for k, (m, scale) in enumerate(zip(theirs, scales, strict=True)):
            regions[level == k] = plain_align(m, b[level == k], (7, 7), scale)
        return regions

    np.testing.assert_allclose(ours(*device), plain().movedim(1, -1), atol=1e-3)
    runs = {"ours": waiting(functools.partial(ours, *device)), "torch": plain}
    if COMPILED:
        pool = ops.MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
        named = {str(i): m[None] for i, m in enumerate(theirs)}
        runs["torchvision"] = lambda: pool(named, [b], [(image, image)])
    show("align of 256 regions of a pyramid, ms", interleaved(runs, options.repetitions))


def scene_batch(rng, channels=1):
    """Images of noise with objects, as `nets.data.digit_scenes` has them."""
    boxes = random_boxes(BATCH * OBJECTS, SIDE, rng).reshape(BATCH, OBJECTS, 4).clip(0, SIDE)
    return {
        "inputs": rng.normal(size=(BATCH, SIDE, SIDE, channels)).astype(np.float32),
        "boxes": boxes,
        "targets": rng.integers(0, CLASSES, (BATCH, OBJECTS)).astype(np.int32),
    }


def window():
    rng = np.random.default_rng(0)
    batch = scene_batch(rng)
    model = SlidingWindow(num_classes=CLASSES)
    x, boxes, targets = (torch.tensor(batch[k]) for k in ("inputs", "boxes", "targets"))
    x, net = x.movedim(-1, 1), WindowTwin(1, CLASSES).to(memory_format=torch.channels_last)
    grids = [
        torch.tensor(np.array(window_grid((SIDE, SIDE), size), np.float32)) for size in model.sizes
    ]
    images = [window_image_size(SIDE, size) for size in model.sizes]

    def detect():
        net.eval()
        with torch.no_grad():
            return window_detect(net, x, grids, images)

    network(
        "Sliding window", model, Detect(), {"method": "detect"}, batch, net,
        lambda: window_loss(net, x, boxes, targets.long(), torch.cat(grids)), detect,
        options.repetitions,
    )  # fmt: skip


def yolo():
    rng = np.random.default_rng(0)
    batch = scene_batch(rng)
    x, boxes, targets = (torch.tensor(batch[k]) for k in ("inputs", "boxes", "targets"))
    x, net = x.movedim(-1, 1), YoloTwin(1, CLASSES).to(memory_format=torch.channels_last)

    def detect():
        net.eval()
        with torch.no_grad():
            return yolo_detect(net(x), CLASSES, SIDE)

    network(
        "YOLO, small form", YOLO("small", num_classes=CLASSES), Detect(), {"method": "detect"},
        batch, net, lambda: yolo_loss(net(x), boxes, targets.long(), CLASSES, SIDE), detect,
        options.repetitions,
    )  # fmt: skip


def rcnn():
    rng = np.random.default_rng(0)
    batch = scene_batch(rng)
    model = FasterRCNN(
        backbone=ResNet((1, 2), "basic", width=32, num_classes=0),
        stages=("layer2",),
        pyramid=None,
        num_classes=CLASSES,
        sizes=(20.0, 32.0, 48.0),
        ratios=(1.0, 2.0),
        hidden=256,
        candidates=(256, 128),
        proposals=(64, 32),
        anchors_per_image=64,
        regions_per_image=32,
        limit=20,
    )
    images = list(torch.tensor(np.repeat(batch["inputs"], 3, -1)).movedim(-1, 1))
    objects = [
        {"boxes": torch.tensor(b), "labels": torch.tensor(t).long() + 1}
        for b, t in zip(batch["boxes"], batch["targets"], strict=True)
    ]
    batch["inputs"] = np.repeat(batch["inputs"], 3, -1)
    net = faster_rcnn_twin(CLASSES, SIDE).to(memory_format=torch.channels_last)

    def detect():
        net.eval()
        with torch.no_grad():
            return net(images)

    network(
        "Faster R-CNN, small", model, Detect(), {"method": "detect"}, batch, net,
        lambda: sum(net(images, objects).values()), detect,
        options.repetitions,
    )  # fmt: skip


if __name__ == "__main__":
    torch.manual_seed(0)
    rows = {
        "nms": (suppression,),
        "align": (align, pyramid),
        "window": (window,),
        "yolo": (yolo,),
        "rcnn": (rcnn,),
    }
    for name in options.rows.split(","):
        for row in rows[name]:
            row()
