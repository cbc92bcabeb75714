"""Opens sets of photographs with boxes and keeps them open: splits, checks, images in memory."""

import functools
import hashlib
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from nets.data import (
    cache,
    crops,
    detection_coco,
    detection_files,
    detection_source,
    image_source,
    normalisation,
)
from nets.data.annotations import Size
from nets.data.detection_coco import Files
from nets.data.detection_source import Listed, Listing, Objects
from nets.errors import UserError

SAMPLE = 4096
"""Images that stand for a set too large to be read through."""


class DetectionSource(NamedTuple):
    """Which images are read, and how.

    Attributes:
        name, data_dir: a set of TFDS; None where there are files.
        path: a folder, or None.
        files: COCO's files by split, or empty.
        trainval: whether the validation images are trained on too.
        validation: share of the training images held out where there is no validation split.
        class_names: the classes by their numbers. None means those of the files.
        drop_empty: whether boxes without an area are left out.
        size: height and width that images are held for; what is larger is reduced to it.
        fit: "letterbox" or "stretch".
        in_memory_mb: size in MB above which images are not held in memory.
    """

    name: str | None
    data_dir: str | None
    path: str | None
    files: tuple[tuple[str, Files], ...]
    trainval: bool
    validation: float
    class_names: tuple[str, ...] | None
    drop_empty: bool
    size: Size
    fit: str
    in_memory_mb: int


class DetectionSet(NamedTuple):
    """Photographs with boxes by split.

    Attributes:
        name: what it is called in messages.
        class_names: class k is called class_names[k].
        objects: by split those of each image, in the size that `read` gives it.
        where: by split, what messages call each image.
        dropped: by split the boxes without an area that were left out.
        read: (split, index) -> image [H, W, 3] uint8; thread-safe.
        digest: of annotations and images; of the names and sizes of files where `stamp` is not
            None.
        stamp: changes with the files; None for what is held in memory.
    """

    name: str
    class_names: tuple[str, ...]
    objects: dict[str, list[Objects]]
    where: dict[str, list[str]]
    dropped: dict[str, int]
    read: Callable[[str, int], np.ndarray]
    digest: str
    stamp: str | None

    def room(self, max_boxes: int | None) -> int:
        """Objects that a batch has room for: `max_boxes`, or the most in an image, at least 1.

        Raises:
            UserError: an image has more than `max_boxes`; names it.
        """
        count, where = max(
            (len(one.boxes), where)
            for split, every in self.objects.items()
            for one, where in zip(every, self.where[split], strict=True)
        )
        if max_boxes is not None and count > max_boxes:
            raise UserError(
                f"must be at least {count}, the objects of {where}, or none, got {max_boxes}.",
                "max_boxes",
            )
        return max_boxes or max(1, count)

    def counts(self) -> dict[str, dict[str, int]]:
        """By split the images, the objects, the difficult ones of them, and the boxes dropped."""
        splits = self.objects.items()
        return {
            "images": {split: len(every) for split, every in splits},
            "objects": {split: sum(len(one.boxes) for one in every) for split, every in splits},
            "difficult": {
                split: sum(int(one.difficult.sum()) for one in every) for split, every in splits
            },
            "dropped": self.dropped,
        }


@functools.lru_cache(maxsize=2)
def open_set(source: DetectionSource) -> DetectionSet:
    """The set, its annotations checked, its images in memory where they are small enough.

    Raises:
        UserError: there is none, or what `nets.data.detection_source.checked` says.
    """
    listing = _listing(source)
    images = dict(listing.images)
    if "validation" not in images and source.validation > 0 and not source.trainval:
        order = np.random.default_rng(0).permutation(len(images["train"]))
        count = max(1, round(source.validation * len(order)))
        parts = np.sort(order[:count]), np.sort(order[count:])
        images["validation"], images["train"] = ([images["train"][k] for k in p] for p in parts)
    class_names = source.class_names or listing.class_names
    if class_names is None:
        class_names = tuple(sorted({box.name for one in images["train"] for box in one.boxes}))
    if not class_names:
        raise UserError(f"no training image of {listing.name} has an object.")
    objects, dropped = {}, {}
    for split, listed in images.items():
        pairs = [detection_source.checked(x, class_names, source.drop_empty) for x in listed]
        objects[split], dropped[split] = [p[0] for p in pairs], sum(p[1] for p in pairs)

    def decode(split: str, k: int) -> np.ndarray:
        image = listing.decode(images[split][k].image)
        height, width = size = objects[split][k].size
        if image.shape[:2] != size:
            raise UserError(
                f"{images[split][k].where} says that its image is {width}x{height}; it is "
                f"{image.shape[1]}x{image.shape[0]}."
            )
        needed = _reduced(size, source)
        return image if needed == size else crops.resize(image, (0, 0, width, height), needed)

    reduced = {
        split: [one.resized(_reduced(one.size, source)) for one in every]
        for split, every in objects.items()
    }
    digest = _digest(class_names, objects, images)
    stamp = f"{listing.stamp} {digest} {source.size} {source.fit}"
    where = {split: [one.where for one in listed] for split, listed in images.items()}
    opened = DetectionSet(listing.name, class_names, reduced, where, dropped, decode, digest, stamp)
    nbytes = 3 * sum(math.prod(one.size) for every in reduced.values() for one in every)
    return _in_memory(opened) if nbytes <= source.in_memory_mb * 1e6 else opened


def _listing(source: DetectionSource) -> Listing:
    if source.files:
        listing = detection_coco.from_coco(dict(source.files))
        if source.trainval:
            listing.images["train"].extend(listing.images.pop("validation", []))
        return listing
    if source.path is not None:
        return detection_files.open_folder(source.path, source.trainval)
    if source.name is not None:
        return detection_coco.from_tfds(source.name, source.data_dir, source.trainval)
    raise UserError(
        "there are no images: give path (a folder in the form of Pascal VOC), annotations "
        "(COCO's JSON) or name (a set of TFDS: voc)."
    )


def _reduced(size: Size, source: DetectionSource) -> Size:
    """The size that an image of this size is held in: no larger than is needed."""
    if source.fit == "stretch":
        return min(size[0], source.size[0]), min(size[1], source.size[1])
    fitted = crops.fitted(size, source.size)
    return fitted if fitted[0] < size[0] and fitted[1] < size[1] else size


def _digest(
    class_names: tuple[str, ...],
    objects: dict[str, list[Objects]],
    images: dict[str, list[Listed]],
) -> str:
    digest = hashlib.blake2b(repr(class_names).encode(), digest_size=16)
    for split, every in objects.items():
        for one, listed in zip(every, images[split], strict=True):
            name = getattr(listed.image, "name", listed.image)
            digest.update(f"\0{split} {name} {one.size} {len(one.boxes)}\0".encode())
            for array in one[1:]:
                digest.update(array.tobytes())
    return digest.hexdigest()


def _in_memory(opened: DetectionSet) -> DetectionSet:
    """The set read into memory: decoded once, later read from the user's cache directory."""

    def make() -> dict[str, np.ndarray]:
        arrays = {}
        with ThreadPoolExecutor() as pool:
            for split, every in opened.objects.items():
                images = pool.map(functools.partial(opened.read, split), range(len(every)))
                arrays[split] = np.concatenate([image.reshape(-1) for image in images])
        return arrays | {"digest": np.array(image_source.digest_of(arrays))}

    arrays = cache.arrays(f"{opened.name}-images", opened.stamp, make)
    images: dict[str, list[np.ndarray]] = {}
    for split, every in opened.objects.items():
        ends = np.cumsum([3 * math.prod(one.size) for one in every])
        parts = np.split(arrays[split], ends[:-1])
        images[split] = [p.reshape(*one.size, 3) for p, one in zip(parts, every, strict=True)]
    both = f"{opened.digest} {arrays['digest']}".encode()
    digest = hashlib.blake2b(both, digest_size=16).hexdigest()
    return opened._replace(read=lambda split, k: images[split][k], digest=digest, stamp=None)


@functools.lru_cache(maxsize=2)
def statistics(source: DetectionSource) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [3] of the training images, in 0..1; of a set not held in memory
    those of 4,096 evenly spaced images, kept in the user's cache directory."""
    opened = open_set(source)
    n = len(opened.objects["train"])

    def make() -> dict[str, np.ndarray]:
        rows = range(0, n, 1 if opened.stamp is None else max(1, n // SAMPLE))
        return {"counts": sum(normalisation.levels(opened.read("train", k)) for k in rows)}

    if opened.stamp is None:
        return normalisation.mean_and_deviation(make()["counts"])
    counts = cache.arrays(f"{opened.name}-levels", opened.stamp, make)["counts"]
    return normalisation.mean_and_deviation(counts)
