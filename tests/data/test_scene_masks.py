"""Generated scenes as segmentation data: each pixel's class is that of the object that is there."""

import numpy as np
import pytest

from nets.data import scenes
from nets.data.digit_scenes import DigitScenes
from nets.data.scene_masks import DigitMasks, ShapeMasks, class_of_pixels
from nets.data.shapes import Shapes


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_shapes_are_their_classes(split):
    fields = {"batch_size": 5, "eval_size": 5, "eval_batch_size": 5}
    data, scene = ShapeMasks(**fields), Shapes(**fields)
    batch, plain = (
        d.train(7)[3] if split == "train" else d.evaluate(split)[0] for d in (data, scene)
    )
    metadata = data.metadata()
    names = metadata["class_names"]
    for b in range(5):
        ground = ~plain["object_masks"][b].any(0)
        assert (batch["targets"][b][ground] == names.index("ground")).all()
        for mask, (_, _, shape) in zip(plain["object_masks"][b], plain["objects"][b], strict=True):
            assert (batch["targets"][b][mask] == names.index(scenes.SHAPES[shape])).all()
    pixels = (batch["inputs"] - metadata["pixel_offset"]) / metadata["pixel_scale"]
    np.testing.assert_allclose(pixels, plain["inputs"], atol=1e-4)
    assert ("mask" in batch) == (split != "train")


@pytest.mark.parametrize("split", ["train", "test"])
def test_digits_are_their_classes_and_overlaps_void(split):
    fields = {"batch_size": 12, "eval_size": 12, "eval_batch_size": 12, "side": 48}
    fields |= {"digit_size": (20, 30), "max_cover": 0.6}
    data, scene = DigitMasks(**fields), DigitScenes(**fields, pixels=True)
    batch, plain = (
        d.train(1)[0] if split == "train" else d.evaluate(split)[0] for d in (data, scene)
    )
    np.testing.assert_array_equal(batch["inputs"], plain["inputs"])
    names = data.metadata()["class_names"]
    assert names == ["ground", *"0123456789"]
    overlaps = 0
    for b, i, j in np.ndindex(batch["targets"].shape):
        there = plain["targets"][b][plain["pixels"][b, :, i, j]]
        name = names[batch["targets"][b, i, j]]
        if len(there) > 1:
            overlaps += 1
            assert batch["targets"][b, i, j] == -1
        else:
            assert name == (str(there[0]) if len(there) else "ground")
    assert overlaps


@pytest.mark.parametrize("data", [ShapeMasks(batch_size=3), DigitMasks(batch_size=3, side=60)])
def test_the_spec_is_that_of_batches(data):
    batch = data.train(0)[0]
    assert {k: (a.shape, a.dtype) for k, a in batch.items()} == data.spec().arrays
    assert batch["targets"].dtype == np.int32 and batch["inputs"].dtype == np.float32
    metadata = data.metadata()
    assert metadata["num_classes"] == len(metadata["class_names"]) > batch["targets"].max()
    assert metadata["num_classes"] == len(metadata["class_colours"])
    assert data.tokenizer(metadata) is None and data.target_tokenizer(metadata) is None


def test_a_pixel_of_two_objects_is_void_by_hand():
    masks = np.array([[[[1, 1, 0]], [[0, 1, 0]]]], bool)
    assert class_of_pixels(masks, np.array([[4, 2]])).tolist() == [[[4, -1, 0]]]
