"""Sounds from files: WAV by scipy, resampled if requested."""

import warnings
from pathlib import Path

import numpy as np

from nets.errors import UserError

SUFFIXES = (".wav", ".wave")
"""Endings of the files that are read."""


def read_wav(path: Path, rate: int, resample: bool = False) -> np.ndarray:
    """The samples [N] (float32, full scale 1) of a mono WAV file of that rate.

    Args:
        path: the file; integers of 8, 16, 24 or 32 bits, or floats.
        rate: samples per second.
        resample: whether a file of another rate is resampled (polyphase filtering).

    Raises:
        UserError: the file cannot be read as WAV, is empty, has several channels, holds numbers
            that are not finite, or has another rate and `resample` is not set.
    """
    from scipy.io import wavfile

    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that it does not know
            own, samples = wavfile.read(path)
    except Exception as error:  # whatever a damaged header leads it to
        raise UserError(f"{path} cannot be read as WAV: {str(error) or 'damaged'}.") from error
    if samples.ndim > 1:
        raise UserError(f"{path} has {samples.shape[1]} channels; mono is needed.")
    if not len(samples):
        raise UserError(f"{path} is empty: it has no samples.")
    samples = to_float(samples)
    if not np.isfinite(samples).all():
        raise UserError(f"{path} has samples that are not finite numbers.")
    if own != rate:
        if not resample:
            raise UserError(
                f"{path} has {own} samples per second, not {rate}; set resample=true to convert."
            )
        samples = resampled(samples, own, rate)
    return samples


def to_float(samples: np.ndarray) -> np.ndarray:
    """Samples of any type of WAV as float32 of full scale 1."""
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if np.issubdtype(samples.dtype, np.integer):
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    return samples.astype(np.float32)


def resampled(samples: np.ndarray, own: int, rate: int) -> np.ndarray:
    """Samples at `own` per second as samples at `rate` per second (scipy's resample_poly)."""
    from scipy.signal import resample_poly

    divisor = int(np.gcd(own, rate))
    return resample_poly(samples, rate // divisor, own // divisor).astype(np.float32)


def wav_files(folder: Path) -> list[Path]:
    """All WAV files below a folder, by path.

    Raises:
        UserError: there are none.
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise UserError(f"{folder} has no WAV files.")
    return files
