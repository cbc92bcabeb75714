"""Photographs with boxes of TFDS, in a set written here with array_record."""

import numpy as np
import pytest

from nets.data.detection import DetectionImages
from nets.errors import UserError
from tests.support.detection_files import COLOURS, LISTS, SCENES, picture
from tests.support.image_sets import FEATURES, image_feature, png, write_prepared, write_tfds

pytest.importorskip("array_record")

SMALL = {
    "batch_size": 2, "eval_batch_size": 1, "image_size": (40, 60), "validation": 0,
    "normalise": "unit",
}  # fmt: skip


def scalar(dtype):
    return {
        "pythonClassName": "tensorflow_datasets.core.features.scalar.Scalar",
        "tensor": {"shape": {}, "dtype": dtype, "encoding": "none"},
    }


def write_boxes(root, flag="is_difficult", lists=LISTS, label=None):
    """The images of `SCENES` as TFDS has those of VOC and COCO; cats are difficult."""
    from tensorflow_datasets.proto import tf_example_pb2

    records = {}
    for split, names in lists.items():
        records[split] = []
        for name in names:
            (height, width), boxes = SCENES[name]
            example = tf_example_pb2.Example()
            feature = example.features.feature
            feature["image"].bytes_list.value.append(png(picture(name)))
            feature["objects/bbox"].float_list.SetInParent()  # as TFDS writes an empty list
            feature["objects/label"].int64_list.SetInParent()
            feature[f"objects/{flag}"].int64_list.SetInParent()
            for kind, (x0, y0, x1, y1) in boxes:
                corners = (y0 / height, x0 / width, y1 / height, x1 / width)
                feature["objects/bbox"].float_list.value.extend(corners)
                number = [*COLOURS].index(kind) if label is None else label
                feature["objects/label"].int64_list.value.append(number)
                feature[f"objects/{flag}"].int64_list.value.append(int(kind == "cat"))
            records[split].append(example.SerializeToString())
    each = {
        "bbox": {
            "pythonClassName": f"{FEATURES}.bounding_boxes.BBoxFeature",
            "boundingBox": {"shape": {"dimensions": ["4"]}, "dtype": "float32"},
        },
        "label": {
            "pythonClassName": f"{FEATURES}.class_label_feature.ClassLabel",
            "classLabel": {"numClasses": "3"},
        },
        flag: scalar("bool"),
    }
    objects = {
        "pythonClassName": f"{FEATURES}.sequence_feature.Sequence",
        "sequence": {
            "feature": {
                "pythonClassName": f"{FEATURES}.features_dict.FeaturesDict",
                "featuresDict": {"features": each},
            },
            "length": "-1",
        },
    }
    fields = {"image": image_feature((-1, -1, 3)), "objects": objects}
    folder = write_prepared(root, "boxed", fields, records)
    (folder / "objects-label.labels.txt").write_text("\n".join(COLOURS) + "\n")
    return {"name": "boxed", "data_dir": str(root)}


@pytest.mark.parametrize("in_memory_mb", [100, 0])
@pytest.mark.parametrize("flag", ["is_difficult", "is_crowd"])
def test_a_set_of_tfds_holds_what_its_records_do(tmp_path, flag, in_memory_mb):
    data = DetectionImages(**write_boxes(tmp_path, flag), **SMALL, in_memory_mb=in_memory_mb)
    assert data.metadata()["class_names"] == [*COLOURS]
    assert data.metadata()["objects"] == {"train": 3, "test": 3}  # none of the validation split
    assert data.metadata()["difficult"] == {"train": 1, "test": 2}
    first, second = data.evaluate("train")[0], data.evaluate("test")[0]
    assert np.array_equal(np.round(first["inputs"][0] * 255), picture("a"))
    np.testing.assert_allclose(
        first["boxes"][0, :2], [[10, 5, 30, 25], [40, 20, 60, 40]], atol=1e-5
    )
    assert first["targets"].tolist() == [[0, 1, -1]]
    assert first["difficult"].tolist() == [[True, False, False]]
    np.testing.assert_allclose(second["boxes"][0, 0], [8, 4, 28, 36], atol=1e-5)
    assert second["targets"].tolist() == [[2, 0, 0]]
    batch = data.train(0)[0]
    assert (batch["targets"] == 1).sum() == 2 and (batch["targets"] != 0).all()
    known = DetectionImages(**{"name": data.name, "data_dir": data.data_dir}, max_boxes=4).spec()
    assert known.metadata == {"num_classes": 3, "class_names": [*COLOURS]}


def test_its_validation_images_may_be_trained_on(tmp_path):
    fields = write_boxes(tmp_path, lists={"train": "a", "validation": "b", "test": "d"})
    sizes = DetectionImages(**fields, trainval=True).metadata()["images"]
    assert sizes == {"train": 2, "test": 1}


def test_other_sets_and_labels_are_refused(tmp_path):
    write_tfds(tmp_path)
    with pytest.raises(UserError, match="'tinted/1.0.0' has no boxes of objects; it holds image"):
        DetectionImages(name="tinted", data_dir=str(tmp_path)).metadata()
    fields = write_boxes(tmp_path, label=3)
    where = "image 0 of split train of 'boxed/1.0.0' has an object of class 'number 3'; valid are"
    with pytest.raises(UserError, match=where):
        DetectionImages(**fields, validation=0).metadata()


def test_a_set_that_is_not_prepared_is_known_and_refused(tmp_path):
    data = DetectionImages(name="voc/2007", data_dir=str(tmp_path), max_boxes=64)
    metadata = data.spec().metadata
    assert metadata["num_classes"] == 20 and metadata["class_names"][14] == "person"
    with pytest.raises(UserError, match="'voc/2007' is not prepared.*download_and_prepare"):
        data.metadata()
