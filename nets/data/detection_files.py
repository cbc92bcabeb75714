"""Photographs with boxes as they are stored in files: Pascal VOC's XML, or a table of boxes."""

import csv
import io
from pathlib import Path
from xml.etree import ElementTree

from nets.data import image_source
from nets.data.annotations import Size
from nets.data.detection_source import SPLITS, Box, Listed, Listing, decode_file
from nets.data.image_files import SUFFIXES
from nets.errors import UserError

COLUMNS = ("image", "xmin", "ymin", "xmax", "ymax", "class")


def open_folder(path: str, trainval: bool) -> Listing:
    """The images of a folder, in any of these forms.

        Annotations/*.xml, JPEGImages/, ImageSets/Main/{train,val,trainval,test}.txt  (Pascal VOC)
        *.xml beside their images
        boxes.csv, images/, split_{train,val,trainval,test}.txt

    A list of a split has an image's name, without its suffix, on each line; an image that is in no
    list is not read. Where there is no list, all images are to be trained on. Where there is one of
    trainval and none of train, it is that of train.

    The coordinates of XML count pixels from 1 and include both ends, so that the corners are
    xmin - 1, ymin - 1, xmax, ymax; a 0, which some tools write, counts as 1. Those of a table are
    corners.

    Args:
        trainval: whether the validation images are to be trained on too.

    Raises:
        UserError: the folder has none of these forms; a file cannot be read or is not as it should
            be; or an image or a list is missing.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise UserError(f"={path}: no such folder.", "path")
    if (root / "Annotations").is_dir():
        lists = _lists(root / "ImageSets" / "Main", "{}.txt", trainval)
        files = _xml_files(root / "Annotations", lists)
        images = {s: [voc(x, root / "JPEGImages") for x in xs] for s, xs in files.items()}
    elif (root / "boxes.csv").is_file():
        lists = _lists(root, "split_{}.txt", trainval)
        images = _table(root / "boxes.csv", root / "images", lists)
    elif any(root.glob("*.xml")):
        images = {"train": [voc(x, root) for x in sorted(root.glob("*.xml"))]}
    else:
        raise UserError(
            f"={path} has neither Annotations (Pascal VOC), nor boxes.csv, nor .xml files beside "
            "images; COCO's JSON is given by annotations.",
            "path",
        )
    listed = [image for split in images.values() for image in split]
    if not images.get("train"):
        raise UserError(f"={path} has no images to train on.", "path")
    stats = ((image.image.as_posix(), image.image.stat()) for image in listed)
    stamp = image_source.fingerprint("", stats)[1]
    return Listing(root.resolve().name, images, None, decode_file, stamp)


def voc(path: Path, folder: Path) -> Listed:
    """The image and the objects of an XML file in the form of Pascal VOC.

    The image is that of the element filename in the folder, with whatever suffix, or where there is
    no such element that of the name of the XML file.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as XML: {error}.") from error
    boxes = [_voc_box(element, k, path) for k, element in enumerate(root.iter("object"), 1)]
    name = (root.findtext("filename") or "").strip()
    named = folder / Path(name.replace("\\", "/")).name
    image = named if name and named.is_file() else _image(folder, named.stem if name else path.stem)
    if image is None:
        raise UserError(f"{path} names the image {name or path.stem}, which is not in {folder}.")
    return Listed(str(path), image, _voc_size(root, path), boxes)


def _voc_box(element: ElementTree.Element, number: int, path: Path) -> Box:
    """An object, that of this number, from 1, in its file."""
    name, box = (element.findtext("name") or "").strip(), element.find("bndbox")
    try:
        x0, y0, x1, y1 = (float(box.findtext(side)) for side in COLUMNS[1:5])
        difficult = int(element.findtext("difficult") or 0) != 0
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} has an object (number {number}, {name!r}) without a bndbox of the "
            "numbers xmin, ymin, xmax, ymax, or whose difficult is no integer."
        ) from error
    if not name:
        raise UserError(f"{path} has an object (number {number}) without a name.")
    written = f"xmin {x0:g}, ymin {y0:g}, xmax {x1:g}, ymax {y1:g}"
    return Box(name, (_from_0(x0), _from_0(y0), x1, y1), difficult, written)


def _from_0(coordinate: float) -> float:
    return 0.0 if coordinate == 0 else coordinate - 1


def _voc_size(root: ElementTree.Element, path: Path) -> Size | None:
    """Height and width, if the file says so (some have 0 for both)."""
    texts = [root.findtext(f"size/{side}") for side in ("height", "width")]
    if None in texts:
        return None
    try:
        height, width = map(int, texts)
    except ValueError as error:
        raise UserError(f"{path} has a size that is no pair of integers.") from error
    return (height, width) if height > 0 and width > 0 else None


def _xml_files(folder: Path, lists: dict[str, list[str]] | None) -> dict[str, list[Path]]:
    if lists is None:
        return {"train": sorted(folder.glob("*.xml"))}
    files = {split: [folder / f"{name}.xml" for name in names] for split, names in lists.items()}
    for split, paths in files.items():
        for path in paths:
            if not path.is_file():
                raise UserError(f"the list of {split} names {path.stem}, and {path} is not there.")
    return files


def _lists(folder: Path, pattern: str, trainval: bool) -> dict[str, list[str]] | None:
    """The names of each split; None means that there are no lists."""

    def names(kind: str) -> list[str] | None:
        path = folder / pattern.format(kind)
        if not path.is_file():
            return None
        try:
            return [
                line.split()[0] for line in path.read_text("utf-8").splitlines() if line.strip()
            ]
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read as text: {error}.") from error

    lists = {}
    for split, kinds in SPLITS.items():
        for kind in kinds:
            if split not in lists and (listed := names(kind)) is not None:
                lists[split] = listed
    both = names("trainval")
    if trainval and both is None:
        both = lists.get("train", []) + lists.get("validation", [])
    if both and (trainval or "train" not in lists):
        lists.pop("validation", None)
        lists["train"] = both
    if lists and "train" not in lists:
        raise UserError(f"{folder} has lists of {', '.join(lists)}, but none of train.")
    return lists or None


def _table(path: Path, folder: Path, lists: dict[str, list[str]] | None) -> dict[str, list[Listed]]:
    """The images of each split, with the boxes of a table that has COLUMNS."""
    try:
        reader = csv.DictReader(io.StringIO(path.read_text("utf-8")))
        rows, header = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as CSV: {error}.") from error
    if missing := [name for name in COLUMNS if name not in header]:
        raise UserError(
            f"{path} has no column {' and no '.join(missing)}; it has {', '.join(header)}."
        )
    boxes: dict[Path, list[Box]] = {}
    lines: dict[Path, int] = {}
    for line, row in enumerate(rows, 2):
        try:
            corners = tuple(float(row[side]) for side in COLUMNS[1:5])
            image, name = folder / row["image"].strip(), row["class"].strip()
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{path}, line {line}, is not of {', '.join(COLUMNS)}.") from error
        lines.setdefault(image, line)
        boxes.setdefault(image, []).append(Box(name, corners))
    for image, line in lines.items():
        if not image.is_file():
            raise UserError(f"{path}, line {line}, names {image.name}, which is not in {folder}.")
    if lists is None:
        files = {"train": _pictures(folder)}
    else:
        files = {split: _named(split, names, folder) for split, names in lists.items()}

    def listed(image: Path) -> Listed:
        return Listed(f"{path}: {image.name}", image, None, boxes.get(image, []))

    return {split: [listed(image) for image in images] for split, images in files.items()}


def _named(split: str, names: list[str], folder: Path) -> list[Path]:
    images = []
    for name in names:
        image = folder / name if (folder / name).is_file() else _image(folder, name)
        if image is None:
            raise UserError(f"the list of {split} names {name}, which is not in {folder}.")
        images.append(image)
    return images


def _image(folder: Path, stem: str) -> Path | None:
    """The image file of a name without its suffix."""
    candidates = (folder / f"{stem}{suffix}" for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder.")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
