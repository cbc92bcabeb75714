"""Generated sounds: words made of tones, harmonic melodies, and noise of several colours."""

import functools

import numpy as np

VOICES = 6
_TAKES = 50  # of each word by each voice
_FIRST, _SECOND = (300, 420, 560, 730, 940), (1150, 1400, 1750, 2150, 2600)  # Hz


@functools.cache
def words(rate: int) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Ten "words", each a sequence of three pairs of tones, in takes of six voices.

    Pairs are as those of a telephone's keys; word k has pairs that no other has in this order. A
    voice has its own pitch (up to 8% up or down) and speed, a take varies both and the loudness.
    All are noisy.

    Returns:
        sounds, labels, voices and takes (0 to 49).
    """
    sounds, labels, voices, takes = [], [], [], []
    codes = np.random.default_rng(7).permutation(25)[:20].reshape(10, 2)
    for k, voice, take in np.ndindex(10, VOICES, _TAKES):
        rng = np.random.default_rng((k, voice, take))
        pitch = 1 + 0.03 * (voice - 2.5) + 0.01 * rng.normal()
        parts = []
        for code in (codes[k, 0], codes[k, 1], codes[(k + 3) % 10, 0]):
            seconds = (0.08 + 0.01 * (voice % 3)) * rng.uniform(0.8, 1.25)
            time = np.arange(int(seconds * rate)) / rate
            pair = _FIRST[code // 5] * pitch, _SECOND[code % 5] * pitch
            tone = sum(np.sin(2 * np.pi * (f * time + rng.random())) for f in pair)
            parts.append(tone * np.hanning(len(time)) ** 0.5)
        sound = np.concatenate(parts) * 0.1 * 10 ** rng.uniform(-0.25, 0.25)
        sounds.append((sound + rng.normal(0, 0.03, len(sound))).astype(np.float32))
        labels.append(k)
        voices.append(voice)
        takes.append(take)
    return sounds, np.array(labels), np.array(voices), np.array(takes)


def melody(rng: np.random.Generator, samples: int, rate: int) -> np.ndarray:
    """Harmonic tones [N] that glide, swell and pause, like a voice that hums."""
    out, start = np.zeros(samples), 0
    while start < samples:
        length = int(rng.uniform(0.12, 0.35) * rate)
        time = np.arange(length) / rate
        pitch = rng.uniform(110, 320) * (1 + rng.uniform(-0.2, 0.2) * time / time[-1])
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        harmonics = np.arange(1, 1 + min(12, int(0.45 * rate / pitch.max())))
        peak = rng.uniform(1, 6)  # the harmonic that is loudest, as a formant
        level = np.exp(-0.5 * ((harmonics - peak) / 2) ** 2) + 0.1 / harmonics
        tone = (level[:, None] * np.sin(harmonics[:, None] * phase[None])).sum(0)
        tone *= np.hanning(length) ** 0.5
        out[start : start + length] += tone[: samples - start]
        start += length + int(rng.uniform(0.0, 0.15) * rate)
    return out.astype(np.float32)


def noise(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Gaussian noise [N] whose power falls with the frequency, f^-a with a from 0 to 2, and which
    in half of the cases comes in bursts."""
    spectrum = np.fft.rfft(rng.normal(size=samples))
    slope = rng.uniform(0, 1)
    spectrum /= np.maximum(np.arange(len(spectrum)), len(spectrum) * 0.02) ** slope
    out = np.fft.irfft(spectrum, samples)
    if rng.random() < 0.5:
        level = np.interp(np.arange(samples), np.linspace(0, samples, 12), rng.uniform(0.1, 1, 12))
        out = out * level
    return (out / out.std()).astype(np.float32)
