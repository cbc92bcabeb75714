"""The recipe that translations of Multi30k share."""

from nets.data.parallel_text import Parallel


def multi30k(*, vocab_size: int, batch_size: int) -> Parallel:
    """Multi30k's German and English captions of pictures, as subwords of both languages together.

    Args:
        vocab_size: number of subwords.
        batch_size: pairs of sentences in a training batch.
    """
    return Parallel(
        source="train.de.gz",
        target="train.en.gz",
        validation_source="val.de.gz",
        validation_target="val.en.gz",
        test_source="test_2016_flickr.de.gz",
        test_target="test_2016_flickr.en.gz",
        vocab_size=vocab_size,
        max_length=40,
        widths=(12, 15, 18, 22, 28),
        batch_size=batch_size,
    )
