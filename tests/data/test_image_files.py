"""An .npz file and a folder of images: round trips and refusals."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nets.data.images import Images
from nets.errors import UserError
from tests.support.image_sets import arrays, everything, forget, in_threads, pixels, write_folder


def test_npz_takes_floats_grey_images_and_a_validation_split(saved):
    given = arrays(shape=(6, 5))
    given["x_test"][0, 0, 0] = 100
    floats = {k: v / np.float32(255) if k[0] == "x" else v[:, None] for k, v in given.items()}
    floats["x_test"][0, 0, 0] = 100.4 / 255
    floats["x_test"][0, 0, 1], given["x_test"][0, 0, 1] = 99.6 / 255, 100
    floats |= {"x_validation": floats["x_test"][:3], "y_validation": floats["y_test"][:3]}
    data = Images(path=saved(**floats), batch_size=50, normalise="unit")
    assert data.spec().arrays["inputs"] == ((50, 6, 5, 1), np.float32)
    assert data.metadata()["sizes"] == {"train": 50, "validation": 3, "test": 23}
    classes = {"num_classes": 4, "class_names": ["0", "1", "2", "3"]}
    assert data.spec().metadata == classes and classes.items() <= data.metadata().items()
    for split, n in (("test", 23), ("validation", 3)):
        x, y = everything(data, split)
        assert np.array_equal(x[..., 0], given["x_test"][:n])
        assert np.array_equal(y, given["y_test"][:n])
    assert data.read_threads == 1


def test_npz_digest_is_that_of_the_content(saved):
    given = arrays()
    one, same = (Images(path=saved(**given)).metadata()["digest"] for _ in range(2))
    given["x_test"][5, 2, 2, 1] ^= 1
    pixel = Images(path=saved(**given)).metadata()["digest"]
    given["y_test"][5] ^= 1
    label = Images(path=saved(**given)).metadata()["digest"]
    assert one == same and len({one, pixel, label}) == 3


@pytest.mark.parametrize(
    "change, message",
    [
        ({"y_train": None}, r"no y_train; it has x_train, x_test, y_test"),
        ({"x_test": None, "y_test": None}, "no x_test and no y_test"),
        ({"x_train": np.zeros((50, 30))}, r"x_train .* \(50, 30\)"),
        ({"x_train": np.zeros((50, 6, 5, 7), np.uint8)}, r"\(50, 6, 5, 7\)"),
        ({"x_train": np.zeros((50, 6, 4, 3), np.uint8)}, "unequal shape"),
        ({"x_train": np.zeros((49, 6, 5, 3), np.uint8)}, "49 images.* 50 labels"),
        ({"x_train": np.zeros((50, 6, 5, 3), np.int64)}, "int64; uint8"),
        ({"x_train": np.full((50, 6, 5, 3), 1.5)}, "1.5 to 1.5; floats from 0 to 1"),
        ({"x_train": np.full((50, 6, 5, 3), np.nan)}, "nan"),
        ({"x_train": np.zeros((0, 6, 5, 3), np.uint8), "y_train": np.zeros(0, int)}, r"\(0, 6, 5"),
        ({"x_train": np.array([{}, 1], object)}, "cannot be read"),
        ({"y_train": np.zeros(50)}, "float64"),
        ({"y_train": np.eye(50, dtype=int)}, r"shape \(50, 50\)"),
        ({"y_train": np.arange(50) % 4 - 1}, "holds -1"),
        ({"y_train": np.arange(50) % 4 + 1}, r"0 to 4; it has none of \[0\]"),
        (
            {"y_test": np.arange(23)},
            r"labels of y_test run to 22.* 0 to 22; it has none of \[4, 5, .* 11\] and 11 more\.$",
        ),
        ({"y_train": np.arange(50) % 3, "y_test": np.full(23, 7)}, r"of \[3, 4, 5, 6, 7\]\.$"),
        ({"y_train": np.arange(50) * 1000}, r"y_train run to 49000, .* and 48943 more\.$"),
        ({"y_train": np.zeros(50, int), "y_test": np.zeros(23, int)}, r"0 to 1.*none of \[1\]"),
    ],
)  # fmt: skip
def test_npz_refusals(saved, change, message):
    given = {k: v for k, v in (arrays() | change).items() if v is not None}
    with pytest.raises(UserError, match=message) as error:
        Images(path=saved(**given)).metadata()
    assert "\n" not in str(error.value)


def test_files_that_are_no_npz_are_refused(saved, tmp_path):
    intact = Path(saved(**arrays()))
    half = tmp_path / "half.npz"
    half.write_bytes(intact.read_bytes()[: intact.stat().st_size // 2])
    flipped = tmp_path / "flipped.npz"
    content = bytearray(intact.read_bytes())
    content[1000] ^= 16
    flipped.write_bytes(content)
    words = tmp_path / "words.npz"
    words.write_text("hello")
    for path in (half, flipped, words):
        with pytest.raises(UserError, match=f"{path.name} cannot be read as .npz") as error:
            Images(path=str(path)).train(0)
        assert "pickle" not in str(error.value)
    array, text = tmp_path / "array.npy", tmp_path / "novel.txt"
    np.save(array, np.zeros(3))
    text.write_text("hello")
    for path in (array, text):
        with pytest.raises(UserError, match=f"{path.name} is neither an .npz file nor a folder"):
            Images(path=str(path)).train(0)
    with pytest.raises(UserError, match="no such file or folder"):
        Images(path=str(tmp_path / "none.npz")).spec()


@pytest.mark.parametrize("in_memory_mb", [100, 0])
@pytest.mark.parametrize("shape", [(6, 5, 3), (6, 5, 1)])
def test_folder_round_trip(tmp_path, in_memory_mb, shape):
    made = write_folder(tmp_path / "pets", shape)
    (tmp_path / "pets" / "train" / "cat" / "notes.txt").write_text("not an image")
    data = Images(
        path=str(tmp_path / "pets"), in_memory_mb=in_memory_mb, normalise="unit", batch_size=16,
        validation=0.2,
    )  # fmt: skip
    assert data.metadata()["sizes"] == {"train": 16, "validation": 4, "test": 20}
    assert data.metadata()["class_names"] == ["cat", "dog"]
    x, y = everything(data, "test")
    assert np.array_equal(x, made["test"][0]) and np.array_equal(y, made["test"][1])
    seen = [*pixels(data.train(0)[0]), *everything(data, "validation")[0]]
    assert sorted(a.tobytes() for a in seen) == sorted(a.tobytes() for a in made["train"][0])
    assert (data.read_threads == 1) == (in_memory_mb > 0 or os.cpu_count() == 1)


def test_held_in_memory_or_not_the_batches_are_the_same(tmp_path):
    write_folder(tmp_path / "pets")
    held, streamed = (
        Images(path=str(tmp_path / "pets"), in_memory_mb=mb, batch_size=8, rotate=9.0)
        for mb in (100, 0)
    )
    a = [held.train(1)[i] for i in range(6)]
    b = in_threads(streamed.train(1), 0, 6)
    for first, second in zip(a, b, strict=True):
        assert all(np.array_equal(first[k], second[k]) for k in first)
    assert streamed.metadata()["mean"] == held.metadata()["mean"]


def test_folder_without_splits_is_all_for_training(tmp_path):
    write_folder(tmp_path, splits=("pets",), classes=("a", "b", "c"))
    data = Images(path=str(tmp_path / "pets"), validation=0.1)
    assert data.splits() == ("validation",)
    assert data.metadata()["sizes"] == {"train": 27, "validation": 3}


def test_images_of_unequal_size_need_image_size(tmp_path):
    write_folder(tmp_path / "pets")
    Image.new("RGB", (30, 20), (9, 8, 7)).save(tmp_path / "pets" / "test" / "dog" / "big.png")
    path = str(tmp_path / "pets")
    with pytest.raises(UserError, match=r"big.png is 30x20 .* 5x6.*image_size"):
        Images(path=path).metadata()
    data = Images(path=path, image_size=4, normalise="unit")
    assert data.spec().arrays["inputs"][0] == (128, 4, 4, 3)
    x, _ = everything(data, "test")
    assert x.shape == (21, 4, 4, 3) and (x[-1] == [9, 8, 7]).all()
    streamed = Images(path=path, in_memory_mb=0, batch_size=5)
    with pytest.raises(UserError, match="big.png"):
        in_threads(streamed.evaluate("test"), 0, len(streamed.evaluate("test")))


def test_folder_refusals(tmp_path):
    root = tmp_path / "pets"
    write_folder(root)
    damaged = root / "train" / "cat" / "3.png"
    content = damaged.read_bytes()
    for bad in (content[: len(content) // 2], b"hello"):
        damaged.write_bytes(bad)
        forget()
        with pytest.raises(UserError, match="3.png cannot be read as an image"):
            Images(path=str(root)).train(0)
    damaged.write_bytes(content)
    deep = root / "train" / "cat" / "deep.png"
    Image.fromarray(np.zeros((6, 5), np.uint16)).save(deep)
    with pytest.raises(UserError, match="deep.png .* 8 bits"):
        Images(path=str(root)).train(0)
    deep.unlink()
    (root / "test" / "bird").mkdir()
    with pytest.raises(UserError, match="classes that train has not: bird"):
        Images(path=str(root)).train(0)
    (root / "train" / "bird").mkdir()
    with pytest.raises(UserError, match=r"train/bird has no image files \(.png"):
        Images(path=str(root)).train(0)
    write_folder(tmp_path / "one", classes=("cat",))
    with pytest.raises(UserError, match="1 class folders; two or more"):
        Images(path=str(tmp_path / "one")).train(0)
    write_folder(tmp_path / "untrained", splits=("test",))
    with pytest.raises(UserError, match="has test, but no folder train"):
        Images(path=str(tmp_path / "untrained")).train(0)
