"""Boxes and regions by plain loops over numbers."""

import math

import numpy as np


def iou(p, q):
    """Intersection over union of two boxes (x0, y0, x1, y1); 0 of two without area."""
    w = min(p[2], q[2]) - max(p[0], q[0])
    h = min(p[3], q[3]) - max(p[1], q[1])
    both = max(w, 0) * max(h, 0)
    area = [max(r[2] - r[0], 0) * max(r[3] - r[1], 0) for r in (p, q)]
    return both / (sum(area) - both) if sum(area) > both else 0.0


def nms(boxes, scores, threshold, classes=None):
    """Numbers of the boxes that no better one of their class overlaps by more."""
    selected = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        same = [j for j in selected if classes is None or classes[i] == classes[j]]
        if scores[i] > -np.inf and all(iou(boxes[i], boxes[j]) <= threshold for j in same):
            selected.append(i)
    return selected


def encode(box, anchor, variances=(1, 1, 1, 1)):
    """Faster R-CNN, equation 2."""
    (x, y, w, h), (xa, ya, wa, ha) = (
        ((r[0] + r[2]) / 2, (r[1] + r[3]) / 2, r[2] - r[0], r[3] - r[1]) for r in (box, anchor)
    )
    offsets = (x - xa) / wa, (y - ya) / ha, math.log(w / wa), math.log(h / ha)
    return [t / v for t, v in zip(offsets, variances, strict=True)]


def decode(offsets, anchor, variances=(1, 1, 1, 1)):
    """The box that `encode` gives these offsets."""
    tx, ty, tw, th = (t * v for t, v in zip(offsets, variances, strict=True))
    wa, ha = anchor[2] - anchor[0], anchor[3] - anchor[1]
    x, y = tx * wa + (anchor[0] + anchor[2]) / 2, ty * ha + (anchor[1] + anchor[3]) / 2
    w, h = math.exp(tw) * wa, math.exp(th) * ha
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def smooth_l1(differences, beta):
    """Summed over the four offsets."""
    size = [abs(d) for d in differences]
    return sum(0.5 * d * d / beta if d < beta else d - beta / 2 for d in size)


def match(anchors, objects, high, low, best_of_each):
    """Of each anchor the number of its object, -1 the background, None neither."""
    overlaps = [[iou(anchor, box) for box in objects] for anchor in anchors]
    best = [max(column) for column in zip(*overlaps, strict=True)]
    labels = []
    for row in overlaps:
        largest = max(row, default=0.0)
        is_best = best_of_each and any(0 < a == b for a, b in zip(row, best, strict=True))
        if largest >= high or is_best:
            labels.append(row.index(largest))
        else:
            labels.append(-1 if largest < low else None)
    return labels


def proposal_losses(anchors, scores, offsets, objects, chosen=None):
    """Faster R-CNN, equation 1: log loss of the chosen anchors and smooth L1 of the objects among
    them, both over their number. None means all that are an object or background."""
    labels, entropy, moved = match(anchors, objects, 0.7, 0.3, best_of_each=True), 0.0, 0.0
    if chosen is None:
        chosen = [i for i, label in enumerate(labels) if label is not None]
    for i in chosen:
        probability = 1 / (1 + math.exp(-scores[i]))
        entropy -= math.log(probability if labels[i] >= 0 else 1 - probability)
        if labels[i] >= 0:
            true = encode(objects[labels[i]], anchors[i])
            moved += smooth_l1(np.subtract(offsets[i], true), 1 / 9)
    return entropy / len(chosen), moved / len(chosen)


def pool_cells(box, size, scale, shape):
    """The rows and columns (top, bottom, left, right) of the map [H, W] in each bin [h][w]."""
    x0, y0, x1, y1 = (math.floor(abs(v * scale) + 0.5) * (1 if v > 0 else -1) for v in box)
    sides = ((y0, max(y1 - y0 + 1, 1), size[0], shape[0]),
             (x0, max(x1 - x0 + 1, 1), size[1], shape[1]))  # fmt: skip
    down, across = (
        [
            np.clip([math.floor(k * extent / n) + low, math.ceil((k + 1) * extent / n) + low], 0, m)
            for k in range(n)
        ]
        for low, extent, n, m in sides
    )
    return [[(*rows, *columns) for columns in across] for rows in down]


def roi_pool(features, box, size, scale):
    """RoI max pooling of a map [H, W, C] in a box: [h, w, C], 0 of an empty bin."""
    out = np.zeros((*size, features.shape[-1]))
    for i, row in enumerate(pool_cells(box, size, scale, features.shape[:2])):
        for j, (top, bottom, left, right) in enumerate(row):
            if bottom > top and right > left:
                out[i, j] = features[top:bottom, left:right].max((0, 1))
    return out
