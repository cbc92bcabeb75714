"""Labelled images from files of one's own: an .npz of arrays, or a folder of class subfolders."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nets.data import npz_files
from nets.data.annotations import Example
from nets.data.image_source import (
    SPLITS,
    ImageSet,
    Transform,
    digest_of,
    fingerprint,
    from_arrays,
    resize,
)
from nets.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


def open_path(path: str, image_size: int | None, decode_full_size: bool = False) -> ImageSet:
    """The set at a path; with `decode_full_size` an .npz keeps its images' own size.

    Raises:
        UserError: nothing is there, or it is not as `npz` or `folder` need it.
    """
    where = Path(path).expanduser()
    if where.is_dir():
        return folder(where, image_size)
    if not where.is_file():
        raise UserError(f"={path}: no such file or folder.", "path")
    if where.suffix != ".npz" and not zipfile.is_zipfile(where):
        raise UserError(
            f"={path} is neither an .npz file nor a folder with a folder of images for each class.",
            "path",
        )
    return npz(where, None if decode_full_size else image_size)


def npz(path: Path, image_size: int | None) -> ImageSet:
    """Arrays x_train, y_train, x_test, y_test (and x_validation, y_validation) of an .npz file.

    Images are [N, H, W] or [N, H, W, C], uint8 or floats in 0..1 (kept to 8 bits); labels are
    integers 0 to K-1, [N] or [N, 1], each class present in y_train.
    """
    stored, arrays = npz_files.read(path, str(path)), {}
    for split in SPLITS:
        x, y = f"x_{split}", f"y_{split}"
        if split == "validation" and x not in stored and y not in stored:
            continue
        if missing := [key for key in (x, y) if key not in stored]:
            raise UserError(
                f"{path} has no {' and no '.join(missing)}; it has {', '.join(stored)}; "
                "x_train, y_train, x_test, y_test are needed."
            )
        images, labels = _images(f"{x} of {path}", stored[x]), _labels(f"{y} of {path}", stored[y])
        if len(images) != len(labels):
            raise UserError(f"{path}: {x} has {len(images)} images, {y} has {len(labels)} labels.")
        if image_size is not None:
            images = np.stack([resize(image, image_size) for image in images])
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images, labels
    shapes = {s: a.shape[1:] for s, a in arrays.items() if s.endswith("images")}
    if len(set(shapes.values())) > 1:
        raise UserError(f"{path}: the splits hold images of unequal shape, {shapes}.")
    maxima = {s: int(arrays[f"{s}_labels"].max()) for s in SPLITS if f"{s}_labels" in arrays}
    where = max(maxima, key=maxima.__getitem__)
    classes = max(maxima[where] + 1, 2)
    present = set(arrays["train_labels"].tolist())
    if len(present) < classes:
        first = range(min(classes, len(present) + 8))  # 8 of the absent at least, if so many are
        absent = [k for k in first if k not in present][:8]
        rest = classes - len(present) - len(absent)
        raise UserError(
            f"{path}: the labels of y_{where} run to {maxima[where]}, so y_train needs every "
            f"class from 0 to {classes - 1}; it has none of {absent}"
            + (f" and {rest} more." if rest else ".")
        )
    names = tuple(map(str, range(classes)))
    return from_arrays(path.stem, names, arrays, digest_of(arrays))


def _images(what: str, images: np.ndarray) -> np.ndarray:
    """As uint8 [N, H, W, C]."""
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4) or 0 in images.shape:
        raise UserError(
            f"{what} has shape {images.shape}; [N, H, W] or [N, H, W, C], C 1, 3 or 4, is valid."
        )
    if images.dtype == np.uint8:
        return images
    if np.issubdtype(images.dtype, np.floating):
        low, high = images.min(), images.max()
        if low >= 0 and high <= 1:  # never so with a NaN
            return np.round(images * 255).astype(np.uint8)
        raise UserError(
            f"{what} runs from {low} to {high}; floats from 0 to 1, or uint8, are valid."
        )
    raise UserError(f"{what} is {images.dtype}; uint8, or floats from 0 to 1, are valid.")


def _labels(what: str, labels: np.ndarray) -> np.ndarray:
    """As int32 [N]."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"{what} has shape {labels.shape} and type {labels.dtype}; integers [N] are valid."
        )
    if len(labels) and labels.min() < 0:
        raise UserError(f"{what} holds {labels.min()}; labels from 0 on are valid.")
    return labels.astype(np.int32)


def folder(path: Path, image_size: int | None) -> ImageSet:
    """Image files in one subfolder a class, read as they are requested.

    The class folders lie in `path` itself (then all are for training), or below its subfolders
    train and, where there are, validation and test. Images are grey if 64 of them, evenly spaced,
    all are; otherwise RGB.
    """
    roots = {split: path / split for split in SPLITS if (path / split).is_dir()}
    if "train" not in roots:
        if roots:
            raise UserError(f"{path} has {', '.join(roots)}, but no folder train.")
        roots = {"train": path}
    names = tuple(_subfolders(roots["train"]))
    if len(names) < 2:
        raise UserError(
            f"{roots['train']} has {len(names)} class folders; two or more, "
            "each with image files, are needed."
        )
    files: dict[str, list[Path]] = {}
    labels: dict[str, np.ndarray] = {}
    for split, root in roots.items():
        if unknown := set(_subfolders(root)) - set(names):
            raise UserError(f"{root} has classes that train has not: {', '.join(sorted(unknown))}.")
        labelled = [(f, names.index(k)) for k in _subfolders(root) for f in _pictures(root / k)]
        if not labelled:
            raise UserError(f"{root} has no class folders.")
        files[split], labels[split] = (
            [f for f, _ in labelled],
            np.array([k for _, k in labelled], np.int32),
        )
    every = [file for split in files.values() for file in split]
    sample = [read_image(file, _header) for file in every[:: max(1, len(every) // 64)]]
    mode = "L" if all(mode in ("1", "L") for mode, _ in sample) else "RGB"
    width, height = (image_size, image_size) if image_size is not None else sample[0][1]
    shape = (height, width, 1 if mode == "L" else 3)

    def decode(file: Path, fit: Transform | None) -> np.ndarray:
        image = read_image(file, lambda picture: np.asarray(picture.convert(mode)))
        image = image.reshape(*image.shape[:2], shape[2])
        if fit is not None:
            return fit(Example(image)).image
        if image_size is not None:
            return resize(image, image_size)
        if image.shape != shape:
            raise UserError(
                f"{file} is {image.shape[1]}x{image.shape[0]} and others are {width}x{height}: "
                "images of unequal size need image_size."
            )
        return image

    def read(
        split: str, indices: np.ndarray, fit: Transform | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.stack([decode(files[split][i], fit) for i in indices]), labels[split][indices]

    stats = ((file.relative_to(path).as_posix(), file.stat()) for file in every)
    digest, stamp = fingerprint(str(image_size), stats)
    sizes = {split: len(paths) for split, paths in files.items()}
    where = path.resolve()
    return ImageSet(where.name, shape, names, sizes, read, digest, f"{where} {stamp}")


def _subfolders(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))


def _pictures(path: Path) -> list[Path]:
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(f"class folder {path} has no image files ({' '.join(SUFFIXES)}).")
    return files


def _header(picture: Any) -> tuple[str, tuple[int, int]]:
    return picture.mode, picture.size


def read_image(file: Path, convert: Callable[[Any], Any]) -> Any:
    """The result of `convert` on the PIL image of a file."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            if picture.mode.startswith(("I", "F")):
                raise ValueError(f"its pixels are of PIL's mode {picture.mode}; 8 bits are valid")
            return convert(picture)
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError, struct.error, ...
        raise UserError(f"{file} cannot be read as an image: {error}") from error
