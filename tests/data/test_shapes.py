"""Generated scenes: what is said of them is true of their pixels, and nothing else is."""

import itertools

import numpy as np
import pytest

from nets.data import scenes
from nets.data.shapes import VOCABULARY, Shapes, sentence
from nets.data.synthetic import generator

SMALL = {"batch_size": 40, "eval_size": 30, "eval_batch_size": 20}
ATTRIBUTES = tuple(scenes.SIZES), tuple(scenes.COLOURS), scenes.SHAPES


@pytest.fixture(scope="module")
def batch():
    return Shapes(**SMALL).train(0)[0]


def words(ids):
    return " ".join(VOCABULARY[i] for i in ids if i)


def test_an_example_is_a_function_of_seed_and_index(batch):
    again = Shapes().examples([generator(0, k) for k in (25, 3)], "train")
    small = Shapes(**SMALL | {"batch_size": 10}).train(0)[2]
    for name, rows in batch.items():
        np.testing.assert_array_equal(rows[[25, 3]], again[name])
        np.testing.assert_array_equal(rows[20:30], small[name])
    for other in (Shapes(**SMALL).train(1)[0], Shapes(**SMALL).train(0)[1]):
        assert (other["inputs"] != batch["inputs"]).any((1, 2, 3)).all()
    spec = {name: (a.shape, a.dtype) for name, a in batch.items()}
    assert spec == Shapes(**SMALL).spec().arrays
    assert spec["inputs"] == ((40, 64, 64, 3), np.uint8)
    assert spec["object_masks"] == ((40, 2, 64, 64), bool)


def plain_masks(size_radius, centre, shape):
    """The pixels of one object, one by one."""
    (cy, cx), r = centre, size_radius
    found = np.zeros((64, 64), bool)
    for y, x in itertools.product(range(cy - r, cy + r + 1), range(cx - r, cx + r + 1)):
        found[y, x] = {
            "circle": np.hypot(y - cy, x - cx) < r + 0.5,
            "square": True,
            "triangle": abs(x - cx) <= (y - (cy - r)) / 2,  # from its tip down
            "diamond": abs(y - cy) + abs(x - cx) <= r,
            "cross": abs(y - cy) <= r // 3 or abs(x - cx) <= r // 3,
        }[shape]
    return found


def test_drawing_is_that_of_a_plain_loop():
    rngs = [generator(5, k) for k in range(60)]
    found = scenes.layout(rngs, "train")
    drawn, seen = scenes.masks(found), set()
    for b, k in itertools.product(range(60), (0, 1)):
        shape = scenes.SHAPES[found.objects[b, k, 2]]
        plain = plain_masks(found.radii[b, k], found.centres[b, k], shape)
        np.testing.assert_array_equal(drawn[b, k], plain, shape)
        seen.add((shape, int(found.radii[b, k])))
    assert {shape for shape, _ in seen} == set(scenes.SHAPES)
    assert {radius for _, radius in seen} == {5, 6, 10, 11, 12}


def test_boxes_are_the_extents_of_the_masks(batch):
    for box, mask in zip(
        batch["boxes"].reshape(-1, 4), batch["object_masks"].reshape(-1, 64, 64), strict=True
    ):
        rows, columns = np.nonzero(mask)
        assert list(box) == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    odd = np.zeros((1, 5, 7), bool)
    odd[0, 1:3, 4] = odd[0, 2, 2] = True
    assert scenes.boxes(odd).tolist() == [[2, 1, 5, 3]]


def test_colours_and_sizes_are_true_of_the_pixels(batch):
    """An object is as bright as 0.8 to 1 of its colour, whole; all that is grey is ground."""
    names = list(scenes.COLOURS)
    palette = np.array(list(scenes.COLOURS.values()), float)
    for image, mask, objects, box in zip(
        *(batch[k] for k in ("inputs", "object_masks", "objects", "boxes")), strict=True
    ):
        assert not (mask[0] & mask[1]).any()
        for k, (size, colour, _) in enumerate(objects):
            pixels = image[mask[k]].astype(float)
            assert (pixels == pixels[0]).all()
            share = pixels[0] @ palette.T / np.linalg.norm(pixels[0])
            assert names[np.argmax(share / np.linalg.norm(palette, axis=1))] == names[colour]
            assert 0.79 < pixels[0].max() / palette[colour].max() <= 1
            sides = {int(box[k, 2] - box[k, 0]), int(box[k, 3] - box[k, 1])}
            assert sides <= ({11, 13} if size == 0 else {21, 23, 25}) and len(sides) == 1
        ground = image[~mask.any(0)].astype(int)
        assert np.ptp(ground, axis=1).max() < 60  # muted: of no colour that has a name
        assert min(np.ptp(palette, axis=1)) > 150
        assert 5 < ground.std() < 50 and ground.max() < 200


def true_of(boxes, one, two):
    """The relation of two boxes that a person would name; they must not be close to a diagonal."""
    (left, t, r, b), (left2, t2, r2, b2) = boxes[one], boxes[two]
    down, right = (t + b - t2 - b2) / 2, (left + r - left2 - r2) / 2
    found = set()
    if b + 2 <= t2 and -down >= abs(right) + 4:
        found.add("above")
    if t >= b2 + 2 and down >= abs(right) + 4:
        found.add("below")
    if r + 2 <= left2 and -right >= abs(down) + 4:
        found.add("left of")
    if left >= r2 + 2 and right >= abs(down) + 4:
        found.add("right of")
    return found


def test_just_two_sentences_are_true_of_a_scene(batch):
    """Of all that the grammar can say of two different objects."""
    size, colour, shape = ATTRIBUTES
    nouns = [" ".join(noun) for noun in itertools.product(*ATTRIBUTES)]
    for boxes, objects, captions in zip(
        batch["boxes"], batch["objects"], batch["targets"], strict=True
    ):
        has = [f"{size[i]} {colour[j]} {shape[k]}" for i, j, k in objects]
        seen = [noun for noun in nouns if noun in has]
        assert len(seen) == 2
        true = {
            f"a {one} is {relation} a {two}"
            for one, two in itertools.permutations(seen)
            for relation in true_of(boxes, has.index(one), has.index(two))
        }
        assert len(true) == 2 and true == {words(ids) for ids in captions}
        assert words(captions[1]).startswith(f"a {has[1]} is")


def test_words_name_their_objects(batch):
    for b, c in itertools.product(range(40), (0, 1)):
        ids, named = batch["targets"][b, c], batch["named"][b, c]
        length = batch["caption_lengths"][b, c]
        assert (ids[:length] > 0).all() and (ids[length:] == 0).all() and length < len(ids)
        for k in (0, 1):
            attributes = [VOCABULARY[i] for i in ids[named == k]]
            objects = batch["objects"][b, k]
            assert attributes == [a[i] for a, i in zip(ATTRIBUTES, objects, strict=True)]
        assert {VOCABULARY[i] for i in ids[named == -1]} <= set(VOCABULARY[:8])
    said = sentence([(0, 0, 0), (1, 2, 1)], 1, 2)
    assert [word for word, _ in said] == "a large blue square is left of a small red circle".split()
    assert [name for _, name in said] == [-1, 1, 1, 1, -1, -1, -1, -1, 0, 0, 0]


def test_objects_differ_and_all_kinds_are_about_equally_frequent():
    found = scenes.layout([generator(1, k) for k in range(3000)], "train")
    assert (found.objects[:, 0] != found.objects[:, 1]).any(1).all()
    for column, count in zip(found.objects.reshape(-1, 3).T, (2, 6, 5), strict=True):
        share = np.bincount(column, minlength=count) / len(column)
        np.testing.assert_allclose(share, 1 / count, atol=4 * 0.5 / 6000**0.5)
    share = np.bincount(scenes.relations(found.centres), minlength=4) / 3000
    np.testing.assert_allclose(share, 1 / 4, atol=4 * 0.43 / 3000**0.5)


def test_no_scene_is_in_two_splits():
    """As many more generators as it takes, were a split's scenes those of another's."""
    folds = {}
    for split in ("train", "validation", "test"):
        centres = scenes.layout([generator(2, k) for k in range(400)], split).centres
        folds[split] = set((centres.reshape(-1, 4) @ [1, 3, 7, 9] % 10).tolist())
    assert folds == {"train": set(range(8)), "validation": {8}, "test": {9}}
    data = Shapes(**SMALL)
    rows = [data.evaluate(split)[i] for split in data.splits() for i in (0, 1)]
    assert [int(batch["mask"].sum()) for batch in rows] == [20, 10, 20, 10]
    images = {image.tobytes() for batch in rows for image in batch["inputs"][batch["mask"] > 0]}
    assert len(images) == 60
    metadata = data.metadata()
    assert metadata["digest"] == Shapes(**SMALL | {"batch_size": 3}).metadata()["digest"]
    assert metadata["synthetic"] is True
    assert metadata["vocabulary"] == [*VOCABULARY] and metadata["vocab_size"] == len(
        set(VOCABULARY)
    )
    assert [*metadata["attributes"].values()] == [list(names) for names in ATTRIBUTES]
