"""Base of data sets that are made from labelled images."""

import dataclasses
from typing import Any

from nets.data.dataset import Dataset
from nets.data.images import Images


@dataclasses.dataclass(frozen=True, kw_only=True)
class DerivedImages(Dataset):
    """Makes batches from those of `nets.data.images.Images`.

    A field of a subclass that has the name of one of `Images` is that of the images.

    Attributes:
        name: "digits" (embedded: 1,797 handwritten digits, 8x8), or any image-classification set
            of TFDS that is prepared as array_record ("mnist", "fashion_mnist").
        data_dir: folder of the TFDS sets. None means TFDS's own, ~/tensorflow_datasets.
        path: an .npz file or a folder of class subfolders; is taken instead of `name`.
        batch_size: images in a training batch.
        eval_batch_size: images in a batch of an evaluation.
        image_size: side in pixels that images are resized to. None means as they are stored.
        validation: share of the training images that is held out where the set has no validation
            split of its own.
    """

    name: str = "digits"
    data_dir: str | None = None
    path: str | None = None
    batch_size: int = 64
    eval_batch_size: int = 180
    image_size: int | None = None
    validation: float = 0.1

    def __post_init__(self) -> None:
        self.images()  # which checks what it shares

    def images(self, **fixed: Any) -> Images:
        """The images, with the values of the fields shared but for those that are fixed."""
        shared = {field.name for field in dataclasses.fields(Images)}
        names = (field.name for field in dataclasses.fields(self) if field.name in shared)
        return Images(**{name: getattr(self, name) for name in names} | fixed)

    def splits(self) -> tuple[str, ...]:
        return self.images().splits()

    def metadata(self) -> dict[str, Any]:
        """Those of the images."""
        return self.images().metadata()

    @property
    def read_threads(self) -> int:
        return self.images().read_threads
