"""Batches of images against the arrays that they come from: order, purity, padding, values."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nets.data.images import Images
from nets.errors import UserError
from tests.support.image_sets import arrays, everything, forget, in_threads, pixels


def test_digits_are_split_as_documented():
    x, y = load_digits(return_X_y=True)
    x = np.round(x / 16 * 255).astype(np.uint8).reshape(-1, 8, 8, 1)
    data = Images(normalise="unit")
    assert data.metadata()["sizes"] == {"train": 1257, "validation": 180, "test": 360}
    assert data.metadata()["class_names"] == [str(k) for k in range(10)]
    assert data.splits() == ("validation", "test")
    i = np.arange(1797)
    for split, part in (("test", i % 5 == 0), ("validation", i % 10 == 1)):
        found = everything(data, split)
        assert np.array_equal(found[0], x[part]) and np.array_equal(found[1], y[part])
    batches = Images(normalise="unit", batch_size=419).train(0)
    epoch = np.concatenate([pixels(batches[k]) for k in range(3)])  # 3 x 419 = 1257
    rest = x[(i % 5 != 0) & (i % 10 != 1)]
    assert sorted(a.tobytes() for a in epoch) == sorted(a.tobytes() for a in rest)


@pytest.mark.parametrize("batch_size", [7, 10, 50])
def test_every_image_comes_once_an_epoch(saved, batch_size):
    given = arrays()
    given["x_train"][:, 0, 0, 0] = np.arange(50)  # names each image
    data = Images(path=saved(**given), batch_size=batch_size, validation=0, normalise="unit")
    batches = data.train(3)
    steps = 4 * 50 // batch_size
    names = np.concatenate([pixels(batches[i])[:, 0, 0, 0] for i in range(steps)])
    labels = np.concatenate([batches[i]["targets"] for i in range(steps)])
    assert np.array_equal(labels, names % 4)
    epochs = [names[e * 50 : e * 50 + 50] for e in range(len(names) // 50)]
    assert len(epochs) >= 3
    for epoch in epochs:
        assert sorted(epoch) == list(range(50))
    assert not np.array_equal(epochs[0], epochs[1])
    other = data.train(4)
    others = np.concatenate([pixels(other[i])[:, 0, 0, 0] for i in range(steps)])
    assert not np.array_equal(others, names)


AUGMENTED = {
    "flip": True, "pad_crop": 1, "rotate": 20.0, "shift": 1.0, "scale": 0.1, "colour_jitter": 0.4,
    "colour_noise": 0.1,
}  # fmt: skip


def test_batches_are_as_the_spec_says_and_pure(saved):
    path = saved(**arrays())
    data = Images(path=path, batch_size=16, **AUGMENTED)
    batches = data.train(5)
    # out of order, across an epoch's end, and far away
    before = {i: batches[i] for i in (3, 0, 2, 10**9)}
    forget()
    again = Images(path=path, batch_size=16, **AUGMENTED).train(5)
    for i, batch in before.items():
        assert {k: (v.shape, v.dtype) for k, v in batch.items()} == data.spec().arrays
        for other in (batches[i], again[i]):
            assert all(np.array_equal(batch[k], other[k]) for k in batch)
    for i, batch in enumerate(in_threads(batches, 2, 12), 2):
        assert np.array_equal(batch["inputs"], batches[i]["inputs"])


@pytest.mark.parametrize("field", AUGMENTED)
def test_each_augmentation_differs_by_seed_and_step_and_spares_the_evaluation(saved, field):
    given = arrays(shape=(8, 8, 3))
    given["x_train"][:] = given["x_train"][0]  # so the order does not matter
    whole = {"path": saved(**given), "batch_size": 40, "normalise": "unit"}
    data = Images(**whole, **{field: AUGMENTED[field]})
    some = [Images(**whole).train(0)[0]["inputs"]]
    some += [data.train(seed)[step]["inputs"] for seed, step in ((0, 0), (0, 1), (1, 0), (1, 1))]
    for a, b in itertools.combinations(some, 2):
        assert not np.array_equal(a, b)
    assert np.array_equal(everything(data, "test")[0], given["x_test"])


def test_background_fills_what_comes_in(saved):
    given = arrays(shape=(4, 4, 1))
    given["x_train"][:] = 200
    for field in ({"pad_crop": 3}, {"shift": 3.0}):
        data = Images(path=saved(**given), batch_size=40, normalise="unit", background=200, **field)
        assert (pixels(data.train(0)[0]) == 200).all()
        assert (pixels(Images(path=data.path, batch_size=40, normalise="unit", **field)
                       .train(0)[0]) < 200).any()  # fmt: skip


@pytest.mark.parametrize("size", [1, 22, 23, 24, 100])
def test_an_evaluation_is_padded_and_masked(saved, size):
    given = arrays()
    data = Images(path=saved(**given), eval_batch_size=size, normalise="unit")
    batches = list(data.evaluate("test"))
    assert len(batches) == -(-23 // size)
    assert all(b["inputs"].shape == (size, 6, 5, 3) for b in batches)
    assert np.concatenate([b["mask"] for b in batches]).tolist() == [1.0] * 23 + [0.0] * (
        len(batches) * size - 23
    )
    assert batches[0]["mask"].dtype == np.float32
    x, y = everything(data, "test")
    assert np.array_equal(x, given["x_test"]) and np.array_equal(y, given["y_test"])


def test_validation_is_held_out_once_and_for_all(saved):
    given = arrays()
    path = saved(**given)
    data = Images(path=path, validation=0.2, batch_size=40, normalise="unit")
    assert data.metadata()["sizes"] == {"train": 40, "validation": 10, "test": 23}
    assert data.metadata()["train_examples"] == 40
    held_out, labels = everything(data, "validation")
    trained = pixels(data.train(0)[0])
    both = sorted(x.tobytes() for x in [*held_out, *trained])
    assert both == sorted(x.tobytes() for x in given["x_train"])
    assert np.array_equal(pixels(data.train(9)[0]).sum(0), trained.sum(0))  # whatever the seed
    by_image = {x.tobytes(): y for x, y in zip(given["x_train"], given["y_train"], strict=True)}
    assert labels.tolist() == [by_image[x.tobytes()] for x in held_out]
    assert Images(path=path, validation=0.001).metadata()["sizes"]["validation"] == 1
    none = Images(path=path, validation=0)
    assert none.splits() == ("test",) and none.metadata()["sizes"]["train"] == 50
    with pytest.raises(UserError, match="no split validation; it has test"):
        none.evaluate("validation")


def test_normalisations(saved):
    given = arrays(n=300, shape=(4, 4, 3))
    given["x_train"] = (given["x_train"] * [1.0, 0.5, 0.2]).astype(np.uint8)
    given["x_test"][0, 0, 0, 0], given["x_test"][0, 0, 1, 0] = 0, 255
    path = saved(**given)
    data = Images(path=path, batch_size=240, validation=0.2)
    standard = data.train(0)[0]["inputs"].astype(np.float64)
    np.testing.assert_allclose(standard.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std((0, 1, 2)), 1, atol=1e-5)
    metadata = data.metadata()
    trained = pixels(
        Images(path=path, batch_size=240, validation=0.2, normalise="unit").train(0)[0]
    )
    np.testing.assert_allclose(metadata["mean"], (trained / 255).mean((0, 1, 2)), atol=1e-6)
    np.testing.assert_allclose(metadata["std"], (trained / 255).std((0, 1, 2)), atol=1e-6)
    json.dumps(metadata)
    for name, ends in (("unit", [0, 1]), ("signed", [-1, 1]), ("lecun", [-0.1, 1.175])):
        image = Images(path=path, normalise=name).evaluate("test")[0]["inputs"][0]
        np.testing.assert_allclose(image[0, :2, 0], ends, atol=1e-6)
    black = Images(path=saved(**{**given, "x_train": given["x_train"] * 0}))
    assert np.isfinite(black.evaluate("test")[0]["inputs"]).all()


def test_image_size_keeps_the_middle_square(saved):
    given = arrays(shape=(4, 16, 1))
    given["x_test"][:] = 255
    given["x_test"][:, :, 5:11] = 100  # the middle four columns, and one that the filter reaches
    data = Images(path=saved(**given), image_size=2, normalise="unit")
    assert (everything(data, "test")[0] == 100).all()
    data = Images(path=data.path, image_size=4, normalise="unit")
    assert np.array_equal(everything(data, "test")[0], given["x_test"][:, :, 6:10])
    ramp = arrays(shape=(4, 4, 1))
    ramp["x_test"][:] = np.arange(4)[:, None] * 40
    larger = everything(Images(path=saved(**ramp), image_size=8, normalise="unit"), "test")[0]
    expected = np.interp((np.arange(8) + 0.5) / 2 - 0.5, np.arange(4), np.arange(4) * 40)
    assert abs(larger[0, 3, :, 0] - expected).max() <= 1


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(UserError, match="batch_size must be at most 1257, .* got 1258"):
        Images(batch_size=1258).train(0)
    Images(batch_size=1257).train(0)[1]


@pytest.mark.parametrize(
    "field, value",
    [("batch_size", 0), ("eval_batch_size", -1), ("image_size", 0), ("train_size", 0),
     ("validation", 1.0),
     ("validation", float("nan")), ("pad_crop", -1), ("rotate", -5.0), ("shift", float("inf")),
     ("scale", 1.0), ("background", 256), ("in_memory_mb", -1), ("normalise", "none")],
)  # fmt: skip
def test_impossible_values_are_refused(field, value):
    with pytest.raises(UserError, match=rf"{field} must be .*, got {value}"):
        Images(**{field: value})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mean": (float("nan"),)}, "mean must be a number for each channel, got"),
        ({"mean": ()}, "mean must be a number for each channel, got"),
        ({"std": (0.0,)}, "std must be above 0, got"),
        ({"mean": (0.1, 0.2, 0.3)}, "mean has 3 numbers, and .* have channels=1"),
    ],
)
def test_statistics_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        Images(**wrong).metadata()


def test_a_draw_takes_so_many_images_once_and_for_all(saved):
    given = arrays()
    path = saved(**given)
    whole = Images(path=path, validation=0.2, batch_size=40, normalise="unit")
    few = dataclasses.replace(whole, batch_size=12, train_size=12, test_size=5)
    assert few.metadata()["sizes"] == {"train": 12, "validation": 10, "test": 5}
    assert few.spec().metadata["train_examples"] == few.metadata()["train_examples"] == 12
    for a, b in zip(everything(few, "validation"), everything(whole, "validation"), strict=True):
        np.testing.assert_array_equal(a, b)  # which no draw touches
    label = {
        x.tobytes(): y
        for split in ("train", "test")
        for x, y in zip(given[f"x_{split}"], given[f"y_{split}"], strict=True)
    }

    def drawn(data):
        batch, (test, labels) = data.train(0)[0], everything(data, "test")
        images = [x.tobytes() for x in (*pixels(batch), *test)]
        assert [label[x] for x in images] == [*batch["targets"], *labels]
        assert len({*images}) == 17
        return {*images[:12]}, {*images[12:]}

    train, test = drawn(few)
    assert train < {x.tobytes() for x in pixels(whole.train(0)[0])}
    assert test < {x.tobytes() for x in given["x_test"]}
    assert {x.tobytes() for x in pixels(few.train(3)[3])} == train  # whatever the run's seed
    others = drawn(dataclasses.replace(few, draw=1))
    assert train != others[0] and test != others[1]
    mean = np.mean([np.frombuffer(x, np.uint8).reshape(-1, 3) / 255 for x in train], (0, 1))
    np.testing.assert_allclose(few.metadata()["mean"], mean, rtol=1e-6)


@pytest.mark.parametrize("field", ["train_size", "test_size"])
def test_a_draw_of_more_images_than_there_are_is_refused(saved, field):
    data = Images(path=saved(**arrays()), validation=0, **{field: 51})
    most = {"train_size": 50, "test_size": 23}[field]
    with pytest.raises(UserError, match=f"{field} must be at most {most}, the .* got 51"):
        data.metadata()
    with pytest.raises(UserError, match=f"{field} must be at least 1, got 0"):
        Images(**{field: 0})
