"""The small detectors of `detection.py` as one writes them in torch.

torchvision's compiled operators, built for CUDA or another torch, may not load; `nms` is then a
plain loop and `roi_align` is `grid_sample`.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from nets.sliding_window import BOX, STRIDE, WINDOW, window_count
from nets.yolo import FORMS

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.support import torchvision_ops  # noqa: E402

torchvision_ops.detection()
COMPILED = not torchvision_ops._DEFINED

from torchvision import ops  # noqa: E402
from torchvision.models.detection import FasterRCNN  # noqa: E402
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler  # noqa: E402
from torchvision.models.detection.anchor_utils import AnchorGenerator  # noqa: E402
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead  # noqa: E402
from torchvision.models.resnet import BasicBlock  # noqa: E402

BOXES = 2


def plain_nms(boxes, scores, threshold, limit):
    """Greedy suppression as one writes it in torch."""
    order = scores.argsort(descending=True)
    boxes = boxes[order]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    alive, kept = torch.ones(len(boxes), dtype=torch.bool), []
    for i in range(len(boxes)):
        if not alive[i]:
            continue
        kept.append(i)
        if len(kept) == limit:
            break
        low = torch.maximum(boxes[i, :2], boxes[i + 1 :, :2])
        high = torch.minimum(boxes[i, 2:], boxes[i + 1 :, 2:])
        both = (high - low).clamp(min=0).prod(1)
        alive[i + 1 :] &= both / (areas[i] + areas[i + 1 :] - both) <= threshold
    return order[kept]


def plain_align(features, boxes, size, scale, samples=2):
    """RoI align by `grid_sample`: [R, C, h, w] of features [C, H, W]; boxes lie in the image."""
    (height, width), (h, w) = features.shape[1:], size
    low, extent = boxes[:, :2] * scale, ((boxes[:, 2:] - boxes[:, :2]) * scale).clamp(min=1)
    x, y = (
        low[:, k, None] + (torch.arange(n * samples) + 0.5) / (n * samples) * extent[:, k, None]
        for k, n in ((0, w), (1, h))
    )
    x, y = 2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1
    grid = torch.stack(
        [x[:, None].expand(-1, h * samples, -1), y[:, :, None].expand(-1, -1, w * samples)], -1
    )
    whole = grid.reshape(1, len(boxes) * h * samples, w * samples, 2)
    values = functional.grid_sample(
        features[None], whole, align_corners=True, padding_mode="border"
    )[0]
    return (
        values.reshape(len(features), len(boxes), h, samples, w, samples).mean((3, 5)).movedim(1, 0)
    )


class PlainPool(ops.MultiScaleRoIAlign):
    """The same by `plain_align`, of one map."""

    def forward(self, features, boxes, image_shapes):
        (maps,) = features.values()
        scale = maps.shape[-1] / image_shapes[0][1]
        each = zip(maps, boxes, strict=True)
        return torch.cat([plain_align(m, b, (7, 7), scale) for m, b in each])


class YoloTwin(nn.Sequential):
    """`nets.yolo.YOLO` in its small form."""

    def __init__(self, channels, classes):
        layers = []
        for layer in FORMS["small"].convolutions:
            if layer is None:
                layers.append(nn.MaxPool2d(2))
                continue
            window, features, stride = layer
            layers += [
                nn.Conv2d(channels, features, window, stride, window // 2, bias=False),
                nn.BatchNorm2d(features),
                nn.LeakyReLU(0.1),
            ]
            channels = features
        super().__init__(*layers, nn.Conv2d(channels, 5 * BOXES + classes, 1))


def yolo_parts(outputs, classes, side):
    """Boxes [B, S S, A, 4] as predicted, their corners, confidences and class probabilities."""
    outputs = outputs.movedim(1, -1)
    rows = outputs.shape[1]
    boxes = outputs[..., : 5 * BOXES].unflatten(-1, (BOXES, 5))
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(rows), indexing="ij")
    cell = torch.stack([x, y], -1)[None, :, :, None]
    middle, size = (boxes[..., :2] + cell) * side / rows, boxes[..., 2:4] ** 2 * side
    corners = torch.cat([middle - size / 2, middle + size / 2], -1)
    parts = boxes[..., :4], corners, boxes[..., 4], outputs[..., -classes:]
    return [part.flatten(1, 2) for part in parts]


def overlap(a, b):
    """Intersection over union of boxes [..., 4]."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(x[..., 2:] - x[..., :2]).clamp(min=0).prod(-1) for x in (a, b)]
    return both / (areas[0] + areas[1] - both).clamp(min=1e-9)


def yolo_loss(outputs, boxes, targets, classes, side):
    """Equation 3 of Redmon et al. 2016; of objects in one cell the first counts."""
    rows = outputs.shape[-1]
    predicted, corners, confidence, probabilities = yolo_parts(outputs, classes, side)
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2 / side * rows
    column, row = middle.floor().clamp(0, rows - 1).unbind(-1)
    cell = (row * rows + column).long()  # [B, N]
    same = cell[:, :, None] == cell[:, None]
    valid = (~same.tril(-1).any(-1)).float()
    root = ((boxes[..., 2:] - boxes[..., :2]) / side).sqrt()
    true = torch.cat([middle - torch.stack([column, row], -1), root], -1)
    image = torch.arange(len(boxes))[:, None]
    meets = overlap(corners[image, cell], boxes[:, :, None]).detach()  # [B, N, A]
    error = ((predicted[image, cell] - true[:, :, None]) ** 2).sum(-1)
    nearest = torch.where(meets.amax(-1) > 0, meets.argmax(-1), error.argmin(-1))
    error, meets, said = (
        a.gather(-1, nearest[..., None])[..., 0] for a in (error, meets, confidence[image, cell])
    )
    taken = torch.zeros_like(confidence)
    taken[image, cell, nearest] = 1
    wrong = (probabilities[image, cell] - functional.one_hot(targets, classes)) ** 2
    parts = (
        5 * (valid * error).sum(),
        (valid * (said - meets) ** 2).sum(),
        0.5 * ((1 - taken) * confidence**2).sum(),
        (valid * wrong.sum(-1)).sum(),
    )
    return sum(parts) / len(boxes)


def yolo_detect(outputs, classes, side, candidates=400, limit=50):
    """The detections in each image: the best scores, non-maximum suppression in each class."""
    _, corners, confidence, probabilities = yolo_parts(outputs, classes, side)
    found = []
    for boxes, sure, share in zip(corners, confidence, probabilities, strict=True):
        scores = (sure[..., None] * share[:, None]).flatten()
        scores, index = scores.topk(min(candidates, len(scores)))
        index = index[scores >= 0.05]
        boxes, labels = boxes.flatten(0, 1)[index // classes], index % classes
        scores = scores[: len(index)]
        kept = ops.batched_nms(boxes, scores, labels, 0.5)[:limit]
        found.append((boxes[kept], scores[kept], labels[kept]))
    return found


class Backbone(nn.Sequential):
    """`nets.resnet.ResNet((1, 2), "basic", width=32)` up to its second stage."""

    out_channels = 64

    def __init__(self):
        wider = nn.Sequential(nn.Conv2d(32, 64, 1, 2, bias=False), nn.BatchNorm2d(64))
        super().__init__(
            nn.Conv2d(3, 32, 7, 2, 3, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
            BasicBlock(32, 32),
            BasicBlock(32, 64, 2, wider),
            BasicBlock(64, 64),
        )


def faster_rcnn_twin(classes, side):
    """torchvision's Faster R-CNN of the same numbers of anchors, candidates and proposals."""
    backbone = Backbone()
    return FasterRCNN(
        backbone,
        min_size=side,
        max_size=side,
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        rpn_anchor_generator=AnchorGenerator(((20, 32, 48),), ((1.0, 2.0),)),
        rpn_pre_nms_top_n_train=256,
        rpn_pre_nms_top_n_test=128,
        rpn_post_nms_top_n_train=64,
        rpn_post_nms_top_n_test=32,
        rpn_batch_size_per_image=64,
        box_batch_size_per_image=32,
        box_roi_pool=(ops.MultiScaleRoIAlign if COMPILED else PlainPool)(["0"], 7, 2),
        box_head=TwoMLPHead(backbone.out_channels * 49, 256),
        box_predictor=FastRCNNPredictor(256, classes + 1),
        box_detections_per_img=20,
    )


class WindowTwin(nn.Sequential):
    """The classifier of `nets.sliding_window.SlidingWindow`."""

    def __init__(self, channels, classes):
        super().__init__(
            nn.Conv2d(channels, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 128, 5), nn.ReLU(), nn.Conv2d(128, classes + 1, 1),
        )  # fmt: skip


def window_image_size(side, size):
    """Height and width of the resampled image of which windows of this size are read."""
    return tuple(WINDOW + STRIDE * (window_count(side, n) - 1) for n in size)


def window_detect(net, x, grids, images, limit=50):
    """The detections in each image: every window classified, suppression in each class."""
    scores = []
    for size in images:
        resized = functional.interpolate(x, size, mode="bilinear", antialias=True)
        scores.append(net(resized).softmax(1)[:, 1:].flatten(2).movedim(1, 2))
    detections, boxes = [], torch.cat(grids)
    for score in torch.cat(scores, 1):
        window, label = (score >= 0.05).nonzero(as_tuple=True)
        score = score[window, label]
        if len(score) > 400:
            score, index = score.topk(400)
            window, label = window[index], label[index]
        best = ops.batched_nms(boxes[window], score, label, 0.3)[:limit]
        detections.append((boxes[window[best]], score[best], label[best]))
    return detections


def window_loss(net, x, boxes, targets, grid, count=64):
    """Mean cross-entropy of windows of each image, at most a quarter of them objects."""
    sampler = BalancedPositiveNegativeSampler(count, 0.25)
    pixels, labels = [], []
    for image, objects, classes in zip(x, boxes, targets, strict=True):
        overlaps, nearest = ops.box_iou(grid, objects).max(1)
        label = torch.where(overlaps >= 0.6, 1.0, torch.where(overlaps < 0.4, 0.0, -1.0))
        positive, negative = (mask[0].nonzero()[:, 0] for mask in sampler([label]))
        chosen = torch.cat([positive, negative])
        middle = (grid[chosen, :2] + grid[chosen, 2:]) / 2
        half = (grid[chosen, 2:] - grid[chosen, :2]) / 2 * WINDOW / BOX
        steps = (torch.arange(WINDOW) + 0.5) / WINDOW * 2 - 1
        column, row = (middle[:, k, None] + half[:, k, None] * steps for k in (0, 1))
        side = image.shape[-1]
        positions = torch.stack(
            [column[:, None].expand(-1, WINDOW, -1), row[:, :, None].expand(-1, -1, WINDOW)], -1
        )
        crops = functional.grid_sample(
            image[None].expand(len(chosen), -1, -1, -1), positions / side * 2 - 1,
            align_corners=False, padding_mode="border",
        )  # fmt: skip
        pixels.append(crops)
        labels.append(torch.where(label[chosen] == 1, classes[nearest[chosen]] + 1, 0))
    logits = net(torch.cat(pixels))[..., 0, 0]
    return functional.cross_entropy(logits, torch.cat(labels))
