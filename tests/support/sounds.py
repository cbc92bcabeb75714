"""Small WAV files and archives, as users have them."""

from pathlib import Path

import numpy as np
from scipy.io import wavfile


def tone(hertz: float, seconds: float = 0.2, rate: int = 8000) -> np.ndarray:
    """A tone as int16."""
    time = np.arange(round(seconds * rate)) / rate
    return np.round(8000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


def write_words(folder: Path, indices: int = 12, rate: int = 8000) -> Path:
    """A folder of LABEL_SPEAKER_INDEX.wav of labels 0 and 1 and speakers ann and bob."""
    folder.mkdir(parents=True, exist_ok=True)
    for label, speaker, index in np.ndindex(2, 2, indices):
        name = f"{label}_{('ann', 'bob')[speaker]}_{index}.wav"
        sound = tone(500 + 700 * label + 20 * index + 7 * speaker, 0.15 + 0.01 * index, rate)
        wavfile.write(folder / name, rate, sound)
    return folder
