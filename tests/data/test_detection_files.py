"""Boxes as files have them, by hand; and what is wrong with a file, said in one line."""

import json

import numpy as np
import pytest
from PIL import Image

from nets.data import detection_coco, detection_files
from nets.data.detection import DetectionImages
from nets.errors import UserError
from tests.support.detection_files import (
    coco,
    write_coco,
    write_pictures,
    write_table,
    write_voc,
    xml,
)

VOC = """<?xml version="1.0"?>
<annotation>
    <folder>VOC2007</folder><filename>000005.jpg</filename>
    <size><width>500</width><height>375</height><depth>3</depth></size>
    <segmented>0</segmented>
    <object>
        <name>chair</name><pose>Rear</pose><truncated>0</truncated><difficult>0</difficult>
        <bndbox><xmin>263</xmin><ymin>211</ymin><xmax>324</xmax><ymax>339</ymax></bndbox>
        <part><name>leg</name><bndbox>
            <xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>
    </object>
    <object>
        <name>sofa</name><difficult>1</difficult>
        <bndbox><xmin>1</xmin><ymin>0</ymin><xmax>500</xmax><ymax>374.5</ymax></bndbox>
    </object>
</annotation>"""


def test_an_xml_of_pascal_voc_by_hand(tmp_path):
    (tmp_path / "000005.jpg").write_bytes(b"")
    (tmp_path / "000005.xml").write_text(VOC)
    listed = detection_files.voc(tmp_path / "000005.xml", tmp_path)
    assert listed.image == tmp_path / "000005.jpg" and listed.size == (375, 500)
    chair, sofa = listed.boxes
    assert chair[:3] == ("chair", (262, 210, 324, 339), False)  # pixels 263 to 324: 62 of them
    assert sofa[:3] == ("sofa", (0, 0, 500, 374.5), True)


def test_a_json_of_coco_by_hand(tmp_path):
    write_pictures(tmp_path, "a")
    table = {
        "images": [{"id": 7, "file_name": "a.png", "height": 40, "width": 60}],
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
        "annotations": [
            {"image_id": 7, "category_id": 18, "bbox": [10.5, 5.25, 20, 8], "iscrowd": 0},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 60, 40], "iscrowd": 1},
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(table))
    files = detection_coco.Files(tmp_path / "a.json", tmp_path, "annotations=a.json")
    listing = detection_coco.from_coco({"train": files})
    assert listing.class_names == ("person", "dog")
    (listed,) = listing.images["train"]
    assert listed.size == (40, 60)
    assert listed.boxes[0][:3] == ("dog", (10.5, 5.25, 30.5, 13.25), False)
    assert listed.boxes[1][:3] == ("person", (0, 0, 60, 40), True)


def test_the_classes_of_files_are_those_of_the_training_images(tmp_path):
    fields = write_voc(tmp_path)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("d\na\n")
    data = DetectionImages(path=fields["path"])
    assert data.metadata()["class_names"] == ["cat", "dog", "owl"]
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
    where = tmp_path / "Annotations" / "d.xml"
    with pytest.raises(UserError, match=f"{where} has an object of class 'owl'; valid are cat"):
        DetectionImages(path=fields["path"], validation=0.2).metadata()


def test_a_size_that_is_not_said_is_that_of_the_image(tmp_path):
    sizes = [o.size for o in every(write_voc(tmp_path, size=False))]
    assert sizes == [(40, 60), (60, 40), (40, 60), (20, 30)]


def every(fields):
    objects = DetectionImages(**fields, in_memory_mb=0).source().objects
    return [one for split in ("train", "validation", "test") for one in objects[split]]


def test_one_list_of_trainval_is_to_be_trained_on_and_divided(tmp_path):
    fields = write_voc(tmp_path)
    for name in ("train", "val"):
        (tmp_path / "ImageSets" / "Main" / f"{name}.txt").unlink()
    sizes = DetectionImages(**fields, validation=0.34).metadata()["images"]
    assert sizes == {"train": 2, "validation": 1, "test": 1}


def test_boxes_without_an_area_are_counted(tmp_path):
    fields = write_table(tmp_path)
    with open(tmp_path / "boxes.csv", "a") as file:
        file.write("c.png,7,9,7,20,cat\nd.png,3,3,5,3,cat\n")
    data = DetectionImages(**fields, drop_empty=True)
    assert data.metadata()["dropped"] == {"train": 0, "validation": 1, "test": 1}
    assert data.metadata()["objects"] == {"train": 3, "validation": 0, "test": 3}
    with pytest.raises(
        UserError, match="c.png has the box 7, 9, 7, 20 of class cat, which has no area; drop_empty"
    ):
        DetectionImages(**fields).metadata()


def test_a_box_that_passes_the_border_by_a_pixel_ends_there(tmp_path):
    fields = write_table(tmp_path)
    with open(tmp_path / "boxes.csv", "a") as file:
        file.write("c.png,-1,9.5,60.9,41,cat\n")
    assert every(fields)[2].boxes.tolist() == [[0, 9.5, 60, 40]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.png,10,5,62,25,cat", "a.png has the box 10, 5, 62, 25 .*outside of its image of 60x40"),
        ("a.png,-2,5,30,25,cat", "a.png has the box -2, 5, 30, 25 of class cat, outside"),
        ("a.png,10,5,30,42,cat", "outside of its image of 60x40 pixels"),
        ("a.png,30,5,10,25,cat", "a.png has the box 30, 5, 10, 25 of class cat, which is inverted"),
        ("a.png,10,25,30,5,cat", "which is inverted"),
        ("a.png,nan,5,30,25,cat", "inverted or not finite"),
        ("a.png,10,5,30,25,cow", "a.png has an object of class 'cow'; valid are cat, dog, owl"),
        ("x.png,10,5,30,25,cat", "boxes.csv, line 8, names x.png, which is not in .*images"),
        ("a.png,10,5,30,cat", r"boxes.csv, line 8, is not of image, xmin"),
        ("a.png,10,5,30", r"boxes.csv, line 8, is not of image, xmin"),
    ],
)
def test_a_wrong_row_of_a_table_is_named(tmp_path, row, message):
    fields = write_table(tmp_path)
    with open(tmp_path / "boxes.csv", "a") as file:
        file.write(row + "\n")
    refused(fields, message)


def refused(fields, message):
    with pytest.raises(UserError, match=message) as error:
        DetectionImages(**fields).metadata()
    assert "\n" not in str(error.value)


def test_other_mistakes_in_a_table_are_named(tmp_path):
    fields = write_table(tmp_path)
    (tmp_path / "split_test.txt").write_text("d\nmissing\n")
    refused(fields, "the list of test names missing, which is not in")
    (tmp_path / "split_test.txt").write_bytes(b"\xff\xfe")
    refused(fields, "split_test.txt cannot be read as text")
    (tmp_path / "split_test.txt").write_text("d.png\n")
    assert len(every(fields)) == 4
    (tmp_path / "boxes.csv").write_text("image,xmin,ymin,xmax,class\n")
    refused(fields, "boxes.csv has no column ymax; it has image, xmin, ymin, xmax, class")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("</annotation>", ""), "a.xml cannot be read as XML: no element found"),
        (("a.png", "z.png"), "a.xml names the image z.png, which is not in"),
        (("a.png", "a.jpeg"), None),  # with whatever suffix
        (
            ("<xmin>11</xmin>", ""),
            r"a.xml has an object \(number 1, 'cat'\) without a bndbox of the numbers",
        ),
        (("<xmin>11</xmin>", "<xmin>left</xmin>"), "without a bndbox of the numbers"),
        (("<name>dog</name>", ""), r"a.xml has an object \(number 2\) without a name"),
        (("<width>60</width>", "<width>wide</width>"), "has a size that is no pair of integers"),
        (
            ("<width>60</width>", "<width>70</width>"),
            "a.xml says that its image is 70x40; it is",
        ),
        (
            ("<xmax>30</xmax>", "<xmax>300</xmax>"),
            "a.xml has the box xmin 11, ymin 6, xmax 300, ymax 25 .*outside",
        ),
    ],
)
def test_a_wrong_xml_is_named(tmp_path, change, message):
    fields = write_voc(tmp_path)
    path = tmp_path / "Annotations" / "a.xml"
    path.write_text(xml("a").replace(*change))
    if message is None:
        assert len(every(fields)) == 4
    else:
        refused(fields, message)


def test_an_xml_or_an_image_that_is_missing_is_named(tmp_path):
    fields = write_voc(tmp_path)
    (tmp_path / "JPEGImages" / "b.png").unlink()
    refused(fields, "b.xml names the image b.png, which is not in .*JPEGImages")
    (tmp_path / "Annotations" / "b.xml").unlink()
    refused(fields, "the list of train names b, and .*b.xml is not there")
    (tmp_path / "ImageSets" / "Main" / "train.txt").unlink()
    (tmp_path / "ImageSets" / "Main" / "trainval.txt").unlink()
    refused(fields, "has lists of validation, test, but none of train")


def test_an_image_that_cannot_be_decoded_is_named(tmp_path):
    fields = write_voc(tmp_path)
    path = tmp_path / "JPEGImages" / "b.png"
    path.write_bytes(path.read_bytes()[:60])
    refused(fields, "b.png cannot be read as an image")


def test_folders_in_no_form_are_refused(tmp_path):
    refused({"path": str(tmp_path / "none")}, "path=.*none: no such folder")
    write_pictures(tmp_path / "photos")
    refused({"path": str(tmp_path / "photos")}, "has neither Annotations .*, nor boxes.csv, nor")
    (tmp_path / "boxes.csv").write_text("image,xmin,ymin,xmax,ymax,class\n")
    refused({"path": str(tmp_path)}, "images: no such folder")
    (tmp_path / "photos").rename(tmp_path / "images")
    refused({"path": str(tmp_path)}, "no training image of .* has an object")


BAD = {
    "{": "annotations=.*train.json is not complete JSON",
    "[]": "is not COCO's JSON of boxes",
    '{"images": []}': r"is not COCO's JSON of boxes: .*\(there is no 'categories'\)",
}


@pytest.mark.parametrize("text", BAD)
def test_a_broken_json_is_named(tmp_path, text):
    fields = write_coco(tmp_path)
    (tmp_path / "train.json").write_text(text)
    refused(fields, BAD[text])


def test_a_wrong_json_is_named(tmp_path):
    fields = write_coco(tmp_path)

    def changed(change):
        table = coco("ab")
        change(table)
        (tmp_path / "train.json").write_text(json.dumps(table))
        return fields

    first = "annotations"
    refused(
        changed(lambda t: t[first][1].update(image_id=5)),
        r"annotations=.*train.json has annotation number 2 with image_id 5, the id of none of its",
    )
    refused(changed(lambda t: t[first][0].update(bbox=[1, 2, 3])), "a bbox of x, y")
    refused(
        changed(lambda t: t[first][0].update(category_id=5)), "of class 'category 5'; valid are"
    )
    refused(changed(lambda t: t[first][0].update(bbox=[10, 5, -3, 9])), "which is inverted")
    refused(
        changed(lambda t: t[first][0].update(bbox=[50, 5, 20, 9])),
        "the box x 50, y 5, width 20, height 9 of class cat, outside of its image",
    )
    refused(changed(lambda t: t[first][0].update(bbox=[50, 5, 0, 9])), "has no area")
    refused(changed(lambda t: t["images"][0].update(file_name="z.png")), "names z.png, not in")
    for sides in ({"height": None}, {"width": None}, {"width": 0, "height": 0}):
        listed = every(changed(lambda t, sides=sides: t["images"][0].update(sides)))
        assert listed[0].size == (40, 60)  # of the image file
    assert DetectionImages(**changed(lambda t: None)).metadata()["class_names"] == [
        "cat", "dog", "owl"
    ]  # fmt: skip
    refused(fields | {"annotations": str(tmp_path / "no.json")}, "annotations=.*cannot be read")


def test_grey_images_are_read_as_colours(tmp_path):
    fields = write_table(tmp_path)
    grey = np.arange(40 * 60, dtype=np.uint8).reshape(40, 60)
    Image.fromarray(grey).save(tmp_path / "images" / "a.png")
    data = DetectionImages(**fields, image_size=(40, 60), batch_size=2, normalise="unit")
    found = np.round(data.evaluate("train")[0]["inputs"][0] * 255)
    assert np.array_equal(found, np.repeat(grey[..., None], 3, -1))
