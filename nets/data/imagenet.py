"""What recipes for ImageNet (ILSVRC 2012, 1,000 classes) count by."""

TRAIN_IMAGES = 1_281_167
"""Images of the training split (Russakovsky et al. 2015, table 2)."""


def steps(epochs: float, batch_size: int) -> int:
    """Updates in that many passes over the training images, at least one."""
    return max(1, round(epochs * TRAIN_IMAGES / batch_size))
