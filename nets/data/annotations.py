"""An image and its annotations, which one matrix moves together.

Positions are (x, y) in pixels from the upper left corner of an image: the middle of pixel [i, j] is
(j + 1/2, i + 1/2). A matrix [3, 3] takes (x, y, 1) in an image to that in the changed image.
"""

from typing import Any, NamedTuple

import numpy as np

Size = tuple[int, int]  # height and width in pixels


class Example(NamedTuple):
    """An image and its annotations; None means that there is none of the kind.

    Attributes:
        image: [H, W, C].
        label: class of the image, or classes [N] of its boxes.
        boxes: [N, 4], corners x0, y0, x1, y1.
        masks: [H, W] class of each pixel, or [N, H, W] the pixels of each object.
        keypoints: [..., 2], x and y.
        caption: a text, or several.
    """

    image: np.ndarray
    label: Any = None
    boxes: np.ndarray | None = None
    masks: np.ndarray | None = None
    keypoints: np.ndarray | None = None
    caption: Any = None

    def moved(self, image: np.ndarray, matrix: np.ndarray, void: int = 0) -> "Example":
        """The example whose image has become `image`, by a matrix that moves all else too.

        Args:
            image: the changed image.
            matrix: [3, 3].
            void: value of masks at pixels from outside the image.
        """
        size = image.shape[:2]
        return self._replace(
            image=image,
            boxes=None if self.boxes is None else move_boxes(self.boxes, matrix, size),
            masks=None if self.masks is None else move_masks(self.masks, matrix, size, void),
            keypoints=None if self.keypoints is None else move_points(self.keypoints, matrix),
        )


def move_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Positions [..., 2] in the changed image, some of them maybe outside."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def move_boxes(boxes: np.ndarray, matrix: np.ndarray, size: Size) -> np.ndarray:
    """The smallest boxes [N, 4] around the moved ones, clipped to an image of this size.

    A box that lies outside becomes one of no area; all keep their order.
    """
    return np.clip(_around_moved(boxes, matrix), 0, [*size[::-1]] * 2)


def visible_shares(boxes: np.ndarray, matrix: np.ndarray, size: Size) -> np.ndarray:
    """The share [N] of the area of each box as moved that is within an image of this size."""
    areas = [
        np.prod(moved[:, 2:] - moved[:, :2], 1)
        for moved in (move_boxes(boxes, matrix, size), _around_moved(boxes, matrix))
    ]
    return areas[0] / np.maximum(areas[1], 1e-9)


def _around_moved(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The smallest boxes [N, 4] around the moved ones."""
    corners = np.stack([boxes[:, [0, 2, 0, 2]], boxes[:, [1, 1, 3, 3]]], -1)  # [N, 4, 2]
    corners = move_points(corners, matrix)
    return np.concatenate([corners.min(1), corners.max(1)], -1)


def move_masks(masks: np.ndarray, matrix: np.ndarray, size: Size, void: int = 0) -> np.ndarray:
    """Masks [..., *size] of masks [..., H, W], by the nearest pixel; `void` from outside."""
    height, width = masks.shape[-2:]
    pixels = np.stack(np.meshgrid(*(np.arange(n) + 0.5 for n in size[::-1])), -1)  # [h, w, 2]
    source = move_points(pixels, np.linalg.inv(matrix)).round(6)  # edges, to rounding
    column, row = np.moveaxis(np.floor(source).astype(int), -1, 0)
    inside = (0 <= row) & (row < height) & (0 <= column) & (column < width)
    nearest = masks[..., row.clip(0, height - 1), column.clip(0, width - 1)]
    return np.where(inside, nearest, np.array(void, masks.dtype))


def translation(x: float, y: float) -> np.ndarray:
    """The matrix [3, 3] that moves by (x, y)."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], float)


def mirror(width: int) -> np.ndarray:
    """The matrix [3, 3] of an image of this width mirrored left to right."""
    return np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1]], float)


def upside_down(height: int) -> np.ndarray:
    """The matrix [3, 3] of an image of this height mirrored top to bottom."""
    return np.array([[1, 0, 0], [0, -1, height], [0, 0, 1]], float)


def resizing(box: tuple[float, float, float, float], size: Size) -> np.ndarray:
    """The matrix [3, 3] that takes a box, x0, y0, x1, y1, to all of an image of this size."""
    scale = np.diag([size[1] / (box[2] - box[0]), size[0] / (box[3] - box[1]), 1])
    return scale @ translation(-box[0], -box[1])


def of_warp(matrices: np.ndarray, size: Size) -> np.ndarray:
    """Matrices [B, 3, 3] of images of this size that `nets.data.augment.warp` changes.

    Args:
        matrices: [B, 2, 3], as `warp` takes them: from pixels of the result to those of the image,
            in (row, column) from the middle.
        size: of the images.
    """
    to_image = np.tile(np.eye(3), (len(matrices), 1, 1))
    to_image[:, :2] = matrices[:, ::-1][:, :, [1, 0, 2]]  # (row, column) as (x, y)
    middle = translation(size[1] / 2, size[0] / 2)
    return middle @ np.linalg.inv(to_image) @ np.linalg.inv(middle)
