"""Pen strokes in files: arrays of offsets, and the lines of IAM-OnDB."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nets.data import npz_files
from nets.errors import about


class Drawings(NamedTuple):
    """The drawings of a split.

    Attributes:
        points: [N, 3] float32 each: offsets from the point before, y downwards, and 1 where the pen
            is lifted after the point.
        texts: what they say. None where they say nothing.
    """

    points: list[np.ndarray]
    texts: list[str] | None

    def taken(self, rows: Iterable[int]) -> "Drawings":
        """Those of these rows."""
        rows = list(rows)
        texts = None if self.texts is None else [self.texts[row] for row in rows]
        return Drawings([self.points[row] for row in rows], texts)


_SPLITS = {"train": ("train",), "validation": ("valid", "validation"), "test": ("test",)}


def read_npz(path: Path, setting: str) -> dict[str, Drawings]:
    """The drawings of an .npz file, by split.

    For each split, "train", "valid" and "test", there are SPLIT_points [N, 3] (dx, dy, 1 where the
    pen is lifted after the point) and SPLIT_offsets [D + 1] (drawing i is
    points[offsets[i]:offsets[i + 1]]), and perhaps SPLIT_texts [D]. Where every drawing begins with
    an offset of 0, that point is left out.

    Args:
        path: the file.
        setting: the field and its value, for errors.

    Raises:
        UserError: it cannot be read, lacks the arrays, or a number is not finite.
    """
    arrays, splits = npz_files.read(path, setting), {}
    for split, names in _SPLITS.items():
        for name in names:
            if f"{name}_points" in arrays and f"{name}_offsets" in arrays:
                splits[split] = _cut(arrays, name, setting)
    if "train" not in splits:
        raise about(
            setting,
            "must have the arrays train_points [N, 3] and train_offsets [D + 1] (and the same of "
            f"valid and test), it has {', '.join(sorted(arrays)) or 'none'}.",
        )
    if all(not points[0, :2].any() for points in splits["train"].points):
        splits = {split: _without_first(part) for split, part in splits.items()}
        if not splits["train"].points:
            raise about(setting, "has no drawing to train on that is more than a point.")
    return splits


def _without_first(part: Drawings) -> Drawings:
    """The drawings without their first points; those that have no other are left out."""
    part = part.taken(i for i, points in enumerate(part.points) if len(points) > 1)
    return part._replace(points=[points[1:] for points in part.points])


def _cut(arrays: dict[str, np.ndarray], name: str, setting: str) -> Drawings:
    points, offsets = arrays[f"{name}_points"], arrays[f"{name}_offsets"]
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "iufb":
        raise about(
            setting,
            f"has {name}_points {list(points.shape)} {points.dtype}; it must be [N, 3], numbers.",
        )
    rising = offsets.ndim == 1 and len(offsets) > 1 and offsets.dtype.kind in "iu"
    steps = np.diff(offsets.astype(np.int64)) if rising else np.zeros(1)
    if steps.min() < 1 or offsets[0] or offsets[-1] > len(points):
        raise about(
            setting,
            f"has {name}_offsets that do not rise from 0 to the {len(points)} of {name}_points.",
        )
    points = points.astype(np.float32)
    if not np.isfinite(points).all():
        bad = int(np.flatnonzero(~np.isfinite(points).all(1))[0])
        drawing = int(np.searchsorted(offsets, bad, side="right")) - 1
        raise about(setting, f"has a point that is not finite: {name}_points[{bad}], of drawing "
                             f"{drawing}.")  # fmt: skip
    texts = arrays.get(f"{name}_texts")
    if texts is not None and len(texts) != len(steps):
        raise about(setting, f"has {len(texts)} {name}_texts for {len(steps)} drawings.")
    cut = [points[a:b] for a, b in zip(offsets, offsets[1:], strict=False)]
    return Drawings(cut, None if texts is None else [str(text) for text in texts])


_FORMS = {
    "train": ("trainset.txt",), "validation": ("testset_v.txt",),
    "test": ("testset_t.txt", "testset_f.txt"),
}  # fmt: skip


def read_iam(folder: Path, setting: str) -> dict[str, Drawings]:
    """The lines of IAM-OnDB (Liwicki and Bunke 2005), with their texts, by split.

    The folder has lineStrokes/a01/a01-000/a01-000u-01.xml, ... and ascii/a01/a01-000/a01-000u.txt,
    ..., whose lines after "CSR:" are the texts of the files -01, -02, ... trainset.txt,
    testset_v.txt, and testset_t.txt and testset_f.txt, lists of forms such as a01-000u, say which
    are for training, validation and test; without them all are for training. A file without a text
    is left out, and so is the first point of each line.

    Raises:
        UserError: there are no such files; one is no XML of that kind, or a coordinate is not
            finite.
    """
    files = sorted((folder / "lineStrokes").rglob("*.xml"))
    if not files:
        raise about(setting, "has no lineStrokes/*/*/*.xml, the strokes of IAM-OnDB.")
    split_of = {}
    for split, names in _FORMS.items():
        for name in names:
            if (folder / name).is_file():
                split_of |= dict.fromkeys((folder / name).read_text().split(), split)
    parts: dict[str, Drawings] = {}
    texts: dict[Path, list[str]] = {}
    for file in files:
        form, _, number = file.stem.rpartition("-")
        split = split_of.get(form) if split_of else "train"
        relative = file.relative_to(folder / "lineStrokes").with_name(f"{form}.txt")
        source = folder / "ascii" / relative
        if split is None or not number.isdigit() or not source.is_file():
            continue
        if source not in texts:
            texts[source] = _transcription(source)
        if not 1 <= int(number) <= len(texts[source]):
            continue
        part = parts.setdefault(split, Drawings([], []))
        points = _strokes(file, f"{setting}: {file.relative_to(folder)}")
        if len(points):
            part.points.append(points)
            part.texts.append(texts[source][int(number) - 1])
    if "train" not in parts:
        raise about(setting, "has no line for training that has a text in ascii/*/*/*.txt.")
    return parts


def _transcription(path: Path) -> list[str]:
    """The lines of a text after CSR:."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return [line.strip() for line in text.partition("CSR:")[2].splitlines() if line.strip()]


def _strokes(path: Path, name: str) -> np.ndarray:
    """The points of a line, without the first."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise about(name, f"is no XML: {error}.") from error
    points = []
    for stroke in root.iter("Stroke"):
        places = [(point.get("x"), point.get("y")) for point in stroke.iter("Point")]
        try:
            points += [(float(x), float(y), 0.0) for x, y in places]
        except (TypeError, ValueError) as error:
            raise about(name, "has a Point without the numbers x and y.") from error
        if places:
            points[-1] = (*points[-1][:2], 1.0)
    array = np.array(points, np.float32).reshape(-1, 3)
    if not np.isfinite(array).all():
        raise about(name, "has a point that is not finite.")
    array[1:, :2] -= array[:-1, :2].copy()
    return array[1:]
