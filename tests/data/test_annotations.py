"""Boxes, masks and keypoints against where the pixels go that are drawn in their places."""

import numpy as np
import pytest

from nets.data import annotations, augment, crops
from nets.data.annotations import Example

SIZE = 40, 60
BOXES = np.array([[12.0, 6, 32, 22], [35, 20, 55, 38], [2, 25, 14, 36]])
POINTS = np.array([[10.5, 8.5], [30.5, 20.5], [45.5, 30.5], [20.5, 33.5]])


def one(change):
    """A change of a batch, of the only image in it."""

    def changed(example, rng):
        images, matrices = change(example.image[None], rng)
        return example.moved(images[0], matrices[0], void=9)

    return changed


CHANGES = {
    "flip": one(augment.flip),
    "pad and crop": one(lambda images, rng: augment.pad_crop(images, rng, 7)),
    "rotation": one(lambda images, rng: augment.affine(images, rng, rotate=180)),
    "affine": one(lambda images, rng: augment.affine(images, rng, 25, 6, 0.3)),
    "area": lambda one, rng: crops.crop(one, crops.area(rng, *SIZE), (48, 32)),
    "jitter": lambda one, rng: crops.crop(one, crops.jittered(rng, 30, (36, 60), *SIZE), (30, 30)),
    "middle": lambda one, rng: crops.crop(one, crops.middle(*SIZE), (25, 25)),
    "letterbox": lambda one, rng: crops.letterbox(one, (50, 52), void=9),
    "place": lambda one, rng: crops.place(
        one, *rng.integers((20, 30), (90, 120), (1, 2)), rng.integers(-20, 20, 2), (50, 60), void=9
    ),
    "high letterbox": lambda one, rng: crops.letterbox(one, (90, 45), void=9),
}
of_all = pytest.mark.parametrize("name", CHANGES)


def drawn(box):
    image = np.zeros((*SIZE, 1), np.uint8)
    x0, y0, x1, y1 = box.astype(int)
    image[y0:y1, x0:x1] = 255
    return image


def changes(name, example):
    """The same example changed by several random states, each as often as it is asked for."""
    return [CHANGES[name](example, np.random.default_rng(seed)) for seed in range(20)]


@of_all
def test_a_box_lies_around_the_pixels_that_it_was_drawn_with(name):
    seen = 0
    for k, box in enumerate(BOXES):
        for found in changes(name, Example(drawn(box), boxes=BOXES, label=[5, 6, 7])):
            assert found.boxes.shape == BOXES.shape and found.label == [5, 6, 7]
            (height, width), moved = found.image.shape[:2], found.boxes[k]
            assert (0 <= moved).all() and (moved <= [width, height] * 2).all()
            turned = name in ("rotation", "affine")
            shown = found.image[..., 0] > (25 if turned else 127)
            if not shown.any():
                assert (moved[2:] - moved[:2]).min() < 2
                continue
            y, x = (np.flatnonzero(shown.any(axis)) for axis in (1, 0))
            want = np.array([x[0], y[0], x[-1] + 1, y[-1] + 1])
            out = (moved - want) * [-1, -1, 1, 1]  # how far it goes beyond the pixels
            assert out.min() > (-1.01 if turned else -0.76)
            cut = (moved == 0).any() or (moved == [width, height] * 2).any()
            if not (turned and cut):  # of a turned box that is cut off, a corner may be outside
                assert out.max() < (1.01 if turned else 0.76)
            seen += 1
    assert seen >= 20


@of_all
def test_masks_are_what_was_drawn_with_them(name):
    classes = np.zeros(SIZE, np.uint8)
    for k, box in enumerate(BOXES):
        classes[drawn(box)[..., 0] > 0] = k + 1
    for k, box in enumerate(BOXES):
        objects = np.stack([drawn(other)[..., 0] > 0 for other in BOXES])
        by_class = changes(name, Example(drawn(box), masks=classes))
        by_object = changes(name, Example(drawn(box), masks=objects))
        for found, other in zip(by_class, by_object, strict=True):
            inside, outside = found.image[..., 0] > 254.9, found.image[..., 0] < 0.1
            assert found.masks.dtype == np.uint8 and found.masks.shape == found.image.shape[:2]
            assert (found.masks[inside] == k + 1).all() and (found.masks[outside] != k + 1).all()
            assert other.masks[k][inside].all()
            assert not other.masks[k][outside & (found.masks != 9)].any()


@of_all
def test_keypoints_stay_on_their_spots(name):
    seen = 0
    for k, point in enumerate(POINTS):
        spot = np.concatenate([point - 2.5, point + 2.5])
        for found in changes(name, Example(drawn(spot), keypoints=POINTS)):
            x, y = found.keypoints[k]
            height, width = found.image.shape[:2]
            if not (6 < x < width - 6 and 6 < y < height - 6):
                continue
            mass = found.image[..., 0].astype(float)
            centre = (
                mass.sum(0) @ (np.arange(width) + 0.5) / mass.sum(),
                mass.sum(1) @ (np.arange(height) + 0.5) / mass.sum(),
            )
            np.testing.assert_allclose((x, y), centre, atol=0.1)
            seen += 1
    assert seen >= 5


@pytest.mark.parametrize("name", ["flip", "pad and crop"])
def test_whole_pixels_move_by_the_very_matrix_of_the_annotations(name):
    image = np.random.default_rng(3).integers(1, 256, (*SIZE, 1), dtype=np.uint8)
    found = changes(name, Example(image, masks=image[..., 0]))
    assert len({one.image.tobytes() for one in found}) > 1
    for one in found:
        shown = np.where(one.masks == 9, one.image[..., 0], one.masks)
        np.testing.assert_array_equal(shown, one.image[..., 0])
        inside = one.image[..., 0] > 0
        np.testing.assert_array_equal(one.masks == 9, ~inside | (one.image[..., 0] == 9))


def test_pixels_from_outside_are_void():
    example = Example(np.ones((*SIZE, 3), np.uint8), masks=np.ones(SIZE, np.int32))
    found = crops.letterbox(example, (60, 60), fill=7, void=255)
    assert (found.image[:40] == 1).all() and (found.image[40:] == 7).all()
    assert (found.masks[:40] == 1).all() and (found.masks[40:] == 255).all()
    assert found.masks.dtype == np.int32 and found.boxes is None and found.keypoints is None


def test_matrices_follow_one_another_as_changes_do():
    box = 10.0, 5.0, 50.0, 35.0
    both = annotations.mirror(20) @ annotations.resizing(box, (15, 20))
    np.testing.assert_allclose(
        annotations.move_points(np.array([[10.0, 5.0], [50, 35], [20, 5]]), both),
        [[20, 0], [0, 15], [15, 0]],
    )


def test_the_nearest_pixel_is_that_of_exact_arithmetic():
    for width in range(1, 40):
        masks = np.arange(width)[None]
        for new in range(1, 40):
            matrix = annotations.resizing((0, 0, width, 1), (1, new))
            want = (2 * np.arange(new) + 1) * width // (2 * new)
            np.testing.assert_array_equal(annotations.move_masks(masks, matrix, (1, new))[0], want)


def test_the_share_of_a_box_that_stays_in_sight_by_hand():
    boxes = np.array([[10.0, 10, 30, 20], [0, 0, 20, 10], [50, 30, 60, 40], [-4, 0, 4, 2]])
    moved = annotations.translation(-20, 5)
    found = annotations.visible_shares(boxes, moved, (40, 60))
    np.testing.assert_allclose(found, [0.5, 0, 0.5, 0])
    half = annotations.resizing((0, 0, 60, 40), (20, 30)) @ annotations.upside_down(40)
    np.testing.assert_allclose(annotations.visible_shares(boxes, half, (20, 30)), [1, 1, 1, 0.5])
    np.testing.assert_allclose(annotations.move_boxes(boxes[:1], half, (20, 30)), [[5, 10, 15, 15]])
