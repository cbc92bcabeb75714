"""What recipes for CIFAR-10 and CIFAR-100 count by."""

TRAIN_IMAGES = 45_000
"""Images to train on where a tenth of the 50,000 is held out to choose by, as in He et al. 2015."""


def epoch(batch_size: int) -> int:
    """Updates in one pass over the training images, of whole batches."""
    return TRAIN_IMAGES // batch_size
