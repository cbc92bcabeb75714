"""TFDS sets: one written here with array_record, and MNIST and CIFAR-10 where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from nets.data import tfds
from nets.data.images import Images
from nets.data.pixels import Pixels
from nets.errors import UserError
from tests.support.image_sets import everything, forget, in_threads, pixels, write_tfds

TFDS = os.environ.get("NETS_TFDS_DIR")
needs_tfds = pytest.mark.skipif(not TFDS, reason="NETS_TFDS_DIR names no folder of TFDS sets")


@pytest.mark.parametrize("in_memory_mb", [100, 0])
@pytest.mark.parametrize("shape", [(6, 5, 3), (6, 5, 1)])
def test_tfds_round_trip(tmp_path, in_memory_mb, shape, caplog):
    made = write_tfds(tmp_path, shape=shape)
    data = Images(
        name="tinted", data_dir=str(tmp_path), in_memory_mb=in_memory_mb, normalise="unit",
        batch_size=20, eval_batch_size=4, validation=0,
    )  # fmt: skip
    assert data.spec().arrays["inputs"][0] == (20, *shape)
    assert data.spec().metadata["class_names"] == ["red", "green", "blue"]
    assert data.splits() == ("test",)
    x, y = everything(data, "test")
    assert np.array_equal(x, made["test"][0]) and np.array_equal(y, made["test"][1])
    wanted = sorted(a.tobytes() for a in made["train"][0])
    for batch in in_threads(data.train(0), 0, 5):
        assert sorted(a.tobytes() for a in pixels(batch)) == wanted
    assert not caplog.records


def test_tfds_split_without_labels_is_left_out(tmp_path):
    write_tfds(tmp_path, unlabelled=True)
    assert Images(name="tinted", data_dir=str(tmp_path), validation=0).splits() == ()


@pytest.mark.parametrize("last", [-1, 3])
def test_tfds_label_out_of_range_is_refused(tmp_path, last):
    write_tfds(tmp_path, last=last)
    data = Images(name="tinted", data_dir=str(tmp_path), batch_size=4)
    where = rf"image 19 of split train of 'tinted/1.0.0' at {tmp_path}.* has label {last};"
    with pytest.raises(UserError, match=where + " valid are 0 to 2"):
        data.train(0)


@pytest.mark.parametrize("in_memory_mb", [100, 0])
def test_tfds_damage_is_refused(tmp_path, in_memory_mb):
    write_tfds(tmp_path)
    shard = tmp_path / "tinted" / "1.0.0" / "tinted-train.array_record-00000-of-00001"
    content = shard.read_bytes()
    data = Images(name="tinted", data_dir=str(tmp_path), in_memory_mb=in_memory_mb, batch_size=4)
    half = len(content) // 2
    for bad in (content[:half], content[:half] + b"\xff" * 99 + content[half + 99 :], b""):
        shard.write_bytes(bad)
        forget()
        with pytest.raises(UserError, match="cannot read split train of 'tinted/1.0.0'") as error:
            data.train(0)
        assert "\n" not in str(error.value)
    shard.unlink()
    forget()
    with pytest.raises(UserError, match="cannot read"):
        data.train(0)
    (shard.parent / "dataset_info.json").write_text("{")
    forget()
    with pytest.raises(UserError, match="tinted"):
        data.spec()


def test_tfds_set_in_another_format_is_refused(tmp_path):
    write_tfds(tmp_path)
    info = tmp_path / "tinted" / "1.0.0" / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(UserError, match=r"as tfrecord, not as array_record; .*another data_dir"):
        Images(name="tinted", data_dir=str(tmp_path)).train(0)


def test_tfds_set_that_is_not_prepared(tmp_path, capfd):
    """Its shapes and classes are known; its images are refused, with the command that helps."""
    data = Images(name="mnist", data_dir=str(tmp_path), batch_size=8)
    assert data.spec().arrays == {
        "inputs": ((8, 28, 28, 1), np.dtype(np.float32)), "targets": ((8,), np.dtype(np.int32))
    }  # fmt: skip
    assert data.spec().metadata == {"num_classes": 10, "class_names": [*"0123456789"]}
    rows = Pixels(name="mnist", data_dir=str(tmp_path), draw=True)
    assert rows.spec().metadata == {"vocab_size": 10, "class_names": [*"0123456789"]}
    with pytest.raises(UserError) as error:
        data.train(0)
    message = str(error.value)
    assert (
        f"is not prepared: nothing at {tmp_path / 'mnist' / '3.0.1'};" in message
        and "\n" not in message
    )
    assert f"tfds.builder('mnist', data_dir='{tmp_path}').download_and_prepare(" in message
    assert capfd.readouterr() == ("", "")


def test_other_names_are_refused(tmp_path):
    with pytest.raises(UserError, match="no data set 'mnits'. Did you mean mnist?"):
        Images(name="mnits", data_dir=str(tmp_path)).spec()
    with pytest.raises(UserError, match="not for image classification; it holds text"):
        Images(name="tiny_shakespeare", data_dir=str(tmp_path)).spec()
    with pytest.raises(UserError, match="unequal size; give image_size"):
        Images(name="tf_flowers", data_dir=str(tmp_path)).spec()
    flowers = Images(name="tf_flowers", data_dir=str(tmp_path), image_size=32)
    assert flowers.spec().arrays["inputs"][0] == (128, 32, 32, 3)


@needs_tfds
def test_mnist():
    data = Images(
        name="mnist", data_dir=TFDS, in_memory_mb=1, eval_batch_size=1000, validation=0.1
    )  # fmt: skip
    metadata = data.metadata()
    assert metadata["sizes"] == {"train": 54_000, "validation": 6_000, "test": 10_000}
    # the known statistics, here from a sample
    np.testing.assert_allclose(
        [metadata["mean"], metadata["std"]], [[0.1307], [0.3081]], atol=0.003
    )
    batches = [data.evaluate("test")[i] for i in range(10)]
    counts = sum(np.bincount(batch["targets"], minlength=10) for batch in batches)
    # the counts of the classes in the original file
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@needs_tfds
def test_cifar10_streamed_equals_its_records():
    import tensorflow_datasets as tfds

    data = Images(name="cifar10", data_dir=TFDS, in_memory_mb=1, normalise="unit")
    assert data.splits() == ("validation", "test") and len(data.evaluate("test")) == 40
    source = tfds.data_source("cifar10", split="test", data_dir=TFDS, download=False)
    batch = data.evaluate("test")[2]
    for k in (0, 100, 255):
        assert np.array_equal(pixels(batch)[k], source[512 + k]["image"])
        assert batch["targets"][k] == source[512 + k]["label"]


def test_the_readme_and_the_error_name_one_command_to_prepare_a_set(tmp_path):
    readme = (Path(__file__).parent.parent.parent / "nets/data/README.md").read_text()
    assert tfds.prepare_command("mnist", None) in readme
    assert f"pip install {tfds.PREPARE_NEEDS}\n" in readme
    with pytest.raises(UserError) as error:
        Images(name="mnist", data_dir=str(tmp_path)).metadata()
    assert tfds.prepare_command("mnist", str(tmp_path)) in str(error.value)
    assert f"data_dir='{tmp_path}'" in tfds.prepare_command("mnist", str(tmp_path))
