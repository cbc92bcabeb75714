"""Detection and segmentation against torch and torchvision, on the same cores.

    python tests/benchmarks/detection.py [--repetitions=7] [--rows=nms,align,yolo,rcnn,unet]

Non-maximum suppression and RoI align against a plain loop in torch and, where they load, against
torchvision's compiled operators; then training steps and detection (or segmentation) of the small
networks that the experiments train, against twins with the same layers: YOLO and U-Net written
here, Faster R-CNN torchvision's. Every figure is the median of interleaved repetitions in one
process. Run it on an idle machine; it needs torch and torchvision.
"""

import argparse
import functools

parser = argparse.ArgumentParser()
parser.add_argument("--repetitions", type=int, default=7)
parser.add_argument("--rows", default="nms,align,yolo,rcnn,unet")
options = parser.parse_args()

from nets.cli import process  # noqa: E402

process.tune()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import torch  # noqa: E402
from detection_twins import (  # noqa: E402
    COMPILED,
    UNetTwin,
    YoloTwin,
    faster_rcnn_twin,
    ops,
    plain_align,
    plain_nms,
    yolo_detect,
    yolo_loss,
)
from timing import interleaved, show  # noqa: E402

from nets.faster_rcnn import FasterRCNN  # noqa: E402
from nets.layers import boxes as box_functions  # noqa: E402
from nets.layers.roi import pyramid_align, pyramid_level, roi_align  # noqa: E402
from nets.resnet import ResNet  # noqa: E402
from nets.tasks.detect import Detect  # noqa: E402
from nets.tasks.segment import Segment  # noqa: E402
from nets.unet import UNet  # noqa: E402
from nets.yolo import YOLO  # noqa: E402

SIDE, BATCH, OBJECTS, CLASSES = 128, 8, 5, 10


def waiting(run):
    """The same, which waits for what it computes."""
    return lambda: jax.block_until_ready(run())


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
        want, found = plain_nms(*theirs, 0.7, limit).numpy(), ours(*device)
        np.testing.assert_array_equal(np.array(found.index)[np.array(found.valid)], want)
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
        found = torch.empty(len(b), channels, 7, 7)
        for k, (m, scale) in enumerate(zip(theirs, scales, strict=True)):
            found[level == k] = plain_align(m, b[level == k], (7, 7), scale)
        return found

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


def our_step(model, task, batch):
    """A training step with Adam, and the parameters and state that it updates."""
    optimizer, key = optax.adam(1e-3), jax.random.key(0)
    params, model_state = jax.jit(functools.partial(task.init, model))(key, batch)
    state = [params, model_state, jax.jit(optimizer.init)(params)]

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params, model_state, opt_state, batch):
        loss = functools.partial(task.loss, model, train=True)
        grads, (model_state, _) = jax.grad(loss, has_aux=True)(params, model_state, batch, key)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), model_state, opt_state

    def run():
        state[:] = step(*state, batch)
        jax.block_until_ready(state)

    return run, state


def their_step(net, loss):
    """The same in torch, of the loss that a function of no arguments gives."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def run():
        net.train()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return run


def nets(name, model, task, method, batch, theirs, their_loss, their_answer):
    """Both rows of a network: a training step, and what it says of the batch."""
    batch = jax.device_put(batch)
    step, state = our_step(model, task, batch)
    count = sum(p.size for p in jax.tree.leaves(state[0]))
    twins = sum(p.numel() for p in theirs.parameters())
    assert count == twins, (count, twins)
    runs = {"ours": step, "torch": their_step(theirs, their_loss)}
    found = interleaved(runs, options.repetitions)
    show(f"{name} ({count:,} parameters), training step of {BATCH} images, ms", found)
    answer = jax.jit(lambda params, state, x: model.apply({"params": params, **state}, x, **method))
    runs = {
        "ours": waiting(lambda: answer(state[0], state[1], batch["inputs"])),
        "torch": their_answer,
    }
    found = interleaved(runs, options.repetitions)
    show(f"{name}, applied to {BATCH} images, ms", found, f"; {BATCH / found['ours']:.0f} images/s")


def channels_last(images):
    """Images [B, H, W, C] as torch's [B, C, H, W], in the same memory."""
    return torch.tensor(images).movedim(-1, 1)


def yolo():
    rng = np.random.default_rng(0)
    batch = scene_batch(rng)
    x, boxes, targets = (torch.tensor(batch[k]) for k in ("inputs", "boxes", "targets"))
    x, net = x.movedim(-1, 1), YoloTwin(1, CLASSES).to(memory_format=torch.channels_last)

    def detect():
        net.eval()
        with torch.no_grad():
            return yolo_detect(net(x), CLASSES, SIDE)

    nets(
        "YOLO, small form", YOLO("small", num_classes=CLASSES), Detect(), {"method": "detect"},
        batch, net, lambda: yolo_loss(net(x), boxes, targets.long(), CLASSES, SIDE), detect,
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

    nets(
        "Faster R-CNN, small", model, Detect(), {"method": "detect"}, batch, net,
        lambda: sum(net(images, objects).values()), detect,
    )  # fmt: skip


def unet():
    rng, widths, classes = np.random.default_rng(0), (12, 24, 48, 64), 6
    batch = {
        "inputs": rng.normal(size=(BATCH, SIDE, SIDE, 3)).astype(np.float32),
        "targets": rng.integers(0, classes, (BATCH, SIDE, SIDE)).astype(np.int32),
    }
    x, targets = channels_last(batch["inputs"]), torch.tensor(batch["targets"]).long()
    net = UNetTwin(3, widths, classes).to(memory_format=torch.channels_last)

    def segment():
        net.eval()
        with torch.no_grad():
            return net(x).argmax(1)

    nets(
        "U-Net, small", UNet(widths, num_classes=classes), Segment(), {"train": False}, batch, net,
        lambda: torch.nn.functional.cross_entropy(net(x), targets), segment,
    )  # fmt: skip


if __name__ == "__main__":
    torch.manual_seed(0)
    rows = {
        "nms": (suppression,),
        "align": (align, pyramid),
        "yolo": (yolo,),
        "rcnn": (rcnn,),
        "unet": (unet,),
    }
    for name in options.rows.split(","):
        for row in rows[name]:
            row()
