"""Photographs with boxes that tests write: coloured rectangles on black, in every form."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"cat": (255, 0, 0), "dog": (0, 255, 0), "owl": (0, 0, 255)}

SCENES = {
    "a": ((40, 60), [("cat", (10, 5, 30, 25)), ("dog", (40, 20, 60, 40))]),
    "b": ((60, 40), [("dog", (0, 0, 12, 20))]),
    "c": ((40, 60), []),
    "d": ((20, 30), [("owl", (4, 2, 14, 18)), ("cat", (16, 4, 28, 16)), ("cat", (20, 0, 30, 4))]),
}
"""By name the height and width of an image, and classes and corners x0, y0, x1, y1."""

LISTS = {"train": "ab", "validation": "c", "test": "d"}


def picture(name: str) -> np.ndarray:
    (height, width), boxes = SCENES[name]
    image = np.zeros((height, width, 3), np.uint8)
    for kind, (x0, y0, x1, y1) in boxes:
        image[y0:y1, x0:x1] = COLOURS[kind]
    return image


def xml(name: str, filename: str | None = None, size: bool = True, difficult: str = "") -> str:
    """Pascal VOC's XML, whose coordinates count pixels from 1; difficult objects by class."""
    (height, width), boxes = SCENES[name]
    text = f"<annotation><filename>{filename or name + '.png'}</filename>"
    if size:
        text += f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    for kind, (x0, y0, x1, y1) in boxes:
        text += (
            f"<object><name>{kind}</name><difficult>{int(kind == difficult)}</difficult><bndbox>"
            f"<xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
            "</bndbox></object>"
        )
    return text + "</annotation>"


def write_pictures(folder: Path, names: str = "abcd") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(picture(name)).save(folder / f"{name}.png")


def write_voc(root: Path, **options) -> dict:
    """Returns the fields of `DetectionImages` that read it."""
    write_pictures(root / "JPEGImages")
    (root / "Annotations").mkdir()
    for name in SCENES:
        (root / "Annotations" / f"{name}.xml").write_text(xml(name, **options))
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, file in (("train", "train"), ("validation", "val"), ("test", "test")):
        (lists / f"{file}.txt").write_text("".join(f"{name}  1\n" for name in LISTS[split]))
    (lists / "trainval.txt").write_text("a\nb\nc\n")
    return {"path": str(root), "classes": (*COLOURS,)}


def write_table(root: Path) -> dict:
    write_pictures(root / "images")
    rows = ["image,xmin,ymin,xmax,ymax,class"]
    for name, (_, boxes) in SCENES.items():
        rows += [f"{name}.png,{','.join(map(str, corners))},{kind}" for kind, corners in boxes]
    (root / "boxes.csv").write_text("\n".join(rows) + "\n")
    for split, file in (("train", "train"), ("validation", "val"), ("test", "test")):
        (root / f"split_{file}.txt").write_text("\n".join(LISTS[split]) + "\n")
    return {"path": str(root), "classes": (*COLOURS,)}


def coco(names: str) -> dict:
    """COCO's JSON, the ids of whose categories are neither 0, 1, 2 nor in their order."""
    ids = {"owl": 90, "cat": 3, "dog": 17}
    images, annotations = [], []
    for name in names:
        (height, width), boxes = SCENES[name]
        key = 100 + ord(name)
        images.append({"id": key, "file_name": f"{name}.png", "height": height, "width": width})
        for kind, (x0, y0, x1, y1) in boxes:
            annotations.append(
                {"id": len(annotations), "image_id": key, "category_id": ids[kind],
                 "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": 0}
            )  # fmt: skip
    categories = [{"id": key, "name": kind} for kind, key in ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def write_coco(root: Path) -> dict:
    fields = {}
    for split, prefix in (("train", ""), ("validation", "validation_"), ("test", "test_")):
        write_pictures(root / split, LISTS[split])
        (root / f"{split}.json").write_text(json.dumps(coco(LISTS[split])))
        fields |= {
            f"{prefix}annotations": str(root / f"{split}.json"),
            f"{prefix}images": str(root / split),
        }
    return fields
