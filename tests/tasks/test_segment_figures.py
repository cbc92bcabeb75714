"""Figures of a segmentation: images evenly spaced over the split, with scores by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from PIL import Image

from nets.data.dataset import padded
from nets.data.segmentation import SegmentationImages
from nets.tasks import metrics, segment_figures
from nets.tasks.segment import Segment
from nets.tasks.task import Trained

METADATA = {
    "num_classes": 3,
    "class_names": ["ground", "car", "tree"],
    "class_colours": [[0, 0, 0], [255, 0, 0], [0, 255, 0]],
    "pixel_scale": [0.5],
    "pixel_offset": [-3.0],
}


class First(nn.Module):
    """Predicts class 1 where the image is above 0, else class 0."""

    @nn.compact
    def __call__(self, x, *, train):
        w = self.param("w", nn.initializers.ones, ())
        return w * jnp.concatenate([-x, x, jnp.full_like(x, -99)], -1)


def split(count=10, size=4):
    """Image k has the pixel value k + 1 in its right half, and less than nothing in its left."""
    images = np.full((count, 4, 6, 1), -1.0, np.float32)
    images[:, :, 3:] = np.arange(1, count + 1)[:, None, None, None]
    targets = np.zeros((count, 4, 6), np.int32)
    targets[:, :, 3:], targets[:, 0] = 1, -1
    targets[:, 3, 5] = 2
    return padded(count, size, lambda rows: {"inputs": images[rows], "targets": targets[rows]})


@pytest.mark.parametrize(
    ("count", "size", "wanted", "rows"),
    [(10, 4, 4, [0, 3, 6, 9]), (3, 4, 6, [0, 1, 2]), (8, 4, 3, [0, 4, 7]), (1, 1, 6, [0])],
)
def test_a_sample_is_spread_over_the_split(count, size, wanted, rows):
    sample = segment_figures.sample(split(count, size), wanted)
    assert sample["inputs"][:, 0, 3, 0].tolist() == [k + 1 for k in rows]
    assert sample["targets"].shape == (len(rows), 4, 6) and set(sample) == {"inputs", "targets"}


def test_the_closing_figures_have_masks_and_scores(tmp_path):
    task, model, batches = Segment(), First(), split()
    params, state = task.init(model, jax.random.key(0), batches[0])
    totals = {}
    for batch in batches:
        totals = metrics.add(
            totals, task.test(model, params, state, batch, jax.random.key(0), True)[1]
        )
    trained = Trained(model, params, state, METADATA, None, None, jax.random.key(0))
    assert task.figures(trained, batches, totals, final=False) == {}
    figures = task.figures(trained, batches, totals, final=True)
    grid = figures["segmentations"]
    assert list(grid.masks) == ["truth", "prediction"] and len(grid.images) == 6
    assert grid.images[0, 0, 0, 0] == (-1 + 3) / 0.5 and grid.images[-1, 0, 3, 0] == (10 + 3) / 0.5
    np.testing.assert_array_equal(grid.masks["prediction"], [[[0] * 3 + [1] * 3] * 4] * 6)
    # of 18 pixels one, a tree, is taken for a car: IoU 9/9, 8/9 and 0
    assert set(grid.notes["prediction"]) == {"94.4% right, mean IoU 0.63"}
    chart = figures["iou"]
    np.testing.assert_allclose(chart.values, [1, 8 / 9, 0])
    assert chart.names == ("ground (50%)", "car (44%)", "tree (5.6%)")
    assert chart.mark == ("mean", pytest.approx((1 + 8 / 9) / 3))
    np.testing.assert_array_equal(figures["confusion"].values, [[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    for name, figure in figures.items():
        assert figure.write(tmp_path, name).is_file()


def test_several_networks_stand_side_by_side():
    batch = segment_figures.sample(split(), 2)
    right = np.maximum(batch["targets"], 0)
    grid = segment_figures.side_by_side(
        "Two networks", batch["inputs"], batch["targets"],
        {"one": right, "other": np.zeros_like(right)}, METADATA,
    )  # fmt: skip
    assert list(grid.masks) == ["truth", "one", "other"]
    assert grid.notes["one"] == ("100.0% right, mean IoU 1.00",) * 2
    assert grid.notes["other"] == ("50.0% right, mean IoU 0.17",) * 2


def predicted(tmp_path, size, **fields):
    """The prediction for an image whose lower quarter is white, at the size that a net reads."""
    height, width = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[3 * height // 4 :] = 255
    Image.fromarray(picture).save(tmp_path / "own.png")
    data = SegmentationImages(image_size=(32, 48), grey=True, **fields)
    metadata = METADATA | {"pixel_scale": [2 / 255], "pixel_offset": [-1.0]}
    batch, source = data.load_input(tmp_path / "own.png", metadata)
    task, model = Segment(), First()
    params = model.init(jax.random.key(0), batch["inputs"], train=False)["params"]
    trained = Trained(model, params, {}, metadata, None, None, jax.random.key(0))
    return task.prediction(trained, source, np.asarray(task.outputs(model, params, {}, batch)))


@pytest.mark.parametrize("size", [(64, 96), (16, 24), (100, 60), (40, 200)])
def test_the_mask_of_an_image_has_its_size(tmp_path, size):
    prediction = predicted(tmp_path, size)
    height, width = size
    expected = np.zeros(size, int)
    expected[3 * height // 4 :] = 1
    written = prediction.files["mask"].write(tmp_path, "mask")
    with Image.open(written) as picture:
        mask = np.asarray(picture)
        assert picture.mode == "P" and picture.getpalette()[3:6] == [255, 0, 0]
    assert mask.shape == size
    rows = np.abs(np.arange(height) + 0.5 - 3 * height // 4)
    sure = rows > max(1, height / 32, width / 48)  # no further than a pixel as read
    np.testing.assert_array_equal(mask[sure], expected[sure])
    share = (mask == 1).mean()
    assert share == pytest.approx(0.25, abs=0.06)
    assert prediction.values["classes"][1] == {
        "class": "car", "id": 1, "share": pytest.approx(share, abs=1e-6)
    }  # fmt: skip
    assert prediction.values["width"] == width and prediction.values["height"] == height
    assert prediction.summary == f"ground {1 - share:.1%}  car {share:.1%}"
    assert prediction.figure.images.shape == (1, *size, 1)
    np.testing.assert_array_equal(prediction.figure.masks["prediction"][0], mask)
    assert prediction.figure.write(tmp_path, "figure").is_file()


def test_what_a_crop_has_left_out_has_no_class(tmp_path):
    prediction = predicted(tmp_path, (32, 96), fit="crop")  # the middle 48 columns
    mask = prediction.figure.masks["prediction"][0]
    assert (mask[:, :24] == -1).all() and (mask[:, 72:] == -1).all()
    assert (mask[:24, 24:72] == 0).all() and (mask[24:, 24:72] == 1).all()
    written = prediction.files["mask"].write(tmp_path, "mask")
    with Image.open(written) as picture:
        assert np.asarray(picture)[0, 0] == 255
    shares = [row["share"] for row in prediction.values["classes"]]
    assert shares == [0.375, 0.125]


def test_the_picture_of_a_large_image_is_smaller_and_its_mask_is_not(tmp_path):
    """Ten pixels of the image are one that the model reads; every third is drawn."""
    image, classes = np.zeros((30, 3000, 1), np.uint8), np.zeros((3, 300), int)
    classes[1, 7] = 1
    source = {"image": image, "matrix": np.diag([0.1, 0.1, 1])}
    metadata = METADATA | {"class_colours": [[0, 0, 0], [255, 0, 0], [0, 255, 0]]}
    prediction = segment_figures.prediction(metadata, source, classes)
    mask = prediction.files["mask"].classes
    assert mask.shape == (30, 3000) and mask.sum() == 100 and (mask[10:20, 70:80] == 1).all()
    assert prediction.figure.images.shape == (1, 10, 1000, 1)
    assert prediction.figure.masks["prediction"].shape == (1, 10, 1000)
    assert prediction.figure.write(tmp_path, "a").is_file()
