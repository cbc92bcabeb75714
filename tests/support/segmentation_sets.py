"""Small sets of images and masks that tests write."""

from pathlib import Path

import numpy as np
from PIL import Image

PALETTE = ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))


def made(count: int, size=(6, 8), classes: int = 3, void: int = 255, seed: int = 0, channels=3):
    """Images [N, H, W, C] and ids [N, H, W] of masks; some pixels are void."""
    rng = np.random.default_rng(seed)
    shape = size if channels == 1 else (*size, channels)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    ids = rng.integers(0, classes, (count, *size))
    ids[rng.random(ids.shape) < 0.1] = void
    return images, ids


def write_mask(path: Path, ids: np.ndarray, kind: str = "grey") -> None:
    """Ids as grey levels, as indices of PALETTE, or by its colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "colours":
        Image.fromarray(np.array(PALETTE, np.uint8)[ids]).save(path)
        return
    picture = Image.fromarray(ids.astype(np.uint8))
    if kind == "palette":
        picture = picture.convert("P")
        picture.putdata(ids.reshape(-1).tolist())
        picture.putpalette([v for colour in PALETTE for v in colour] + [7] * 3 * (256 - 4))
    picture.save(path)


def write_folder(root: Path, splits=("train", "val", "test"), kind="grey", masks="labels", **more):
    """Images and masks below each split; by its name the images and ids."""
    sets = {}
    for i, split in enumerate(splits):
        images, ids = sets[split] = made(6 - i, seed=i, **more)
        for k, (image, mask) in enumerate(zip(images, ids, strict=True)):
            file = root / split / "images" / f"{k}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(file)
            write_mask(root / split / masks / f"{k}.png", mask, kind)
    return sets


def write_voc(root: Path, splits=("train", "val"), size=(6, 8)):
    """The form of Pascal VOC; by the name of each list the ids of its masks."""
    sets = {}
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (root / "JPEGImages").mkdir()
    for i, split in enumerate(splits):
        images, ids = made(5 - i, size, seed=i, void=3)
        names = [f"2007_{i}{k:05}" for k in range(len(ids))]
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
        for name, image, mask in zip(names, images, ids, strict=True):
            Image.fromarray(image).save(root / "JPEGImages" / f"{name}.jpg")
            write_mask(root / "SegmentationClass" / f"{name}.png", mask, "palette")
        sets[split] = ids
    return sets
