"""Speech in noise at a stated signal-to-noise ratio."""

import dataclasses
import functools
from typing import Any

import numpy as np

from nets.data import audio_generated
from nets.data.audio import STREAMS, Audio, Batch
from nets.data.audio_source import Recordings, recordings
from nets.data.dataset import Batches, Spec, padded
from nets.errors import UserError, check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoisySpeech(Audio):
    """Clean sounds, and the same in noise.

    Batches hold "inputs" [B, N] float32, the noisy sound, and "targets" [B, N], the clean one;
    those of an evaluation also "snr" [B] float32, in dB, and "mask" [B]. A sound is recordings of
    one speaker after each other, cut to `duration`, so that nothing is padding; without `path` it
    is generated: harmonic tones that glide. Training sound j of batch i is a function of (seed, i,
    j); an evaluation has eval_size sounds, always the same, each at every ratio of `eval_snrs`.

    The ratio is that of the powers of the whole sound, 10 log10(sum s^2 / sum n^2).

    Attributes:
        noise: a folder of WAV files or an .npz archive of noise, with splits as those of `path`.
            None means generated noise, of several spectra.
        duration: seconds of a sound.
        snrs: lowest and highest signal-to-noise ratio of training, in dB, drawn uniformly.
        eval_snrs: signal-to-noise ratios of an evaluation, in dB.
        gain: maximum change of the loudness of the sound, in dB, from 26 dB below full scale.
        pause: longest pause between two recordings, in seconds.
        eval_size: clean sounds in each of the two evaluation sets.
    """

    noise: str | None = None
    duration: float = 2.0
    snrs: tuple[float, float] = (-7.0, 10.0)
    eval_snrs: tuple[float, ...] = (-5.0, 0.0, 5.0)
    gain: float = 6.0
    pause: float = 0.2
    batch_size: int = 16
    eval_size: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "duration", above=0)
        check_range(self, "gain", "pause", at_least=0)
        check_range(self, "eval_size", at_least=1)
        if not self.snrs[0] <= self.snrs[1]:
            raise UserError(f"must rise, got {self.snrs[0]},{self.snrs[1]}.", "snrs")
        if not self.eval_snrs:
            raise UserError("must have at least one ratio.", "eval_snrs")

    def train(self, seed: int) -> Batches:
        def batch(i: int) -> Batch:
            rng = np.random.default_rng((STREAMS["train"], seed, i))
            ratios = rng.uniform(*self.snrs, self.batch_size)
            pairs = [mixed(*self._pair(rng, "train"), ratio) for ratio in ratios]
            inputs, targets = map(np.stack, zip(*pairs, strict=True))
            return {"inputs": inputs, "targets": targets}

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        self.check_split(split)
        pairs, ratios = _evaluated(self, split), self.eval_snrs

        def batch(rows: np.ndarray) -> Batch:
            ratio = np.array([ratios[row % len(ratios)] for row in rows], np.float32)
            chosen = (pairs[row // len(ratios)] for row in rows)
            sounds = [mixed(*pair, r) for pair, r in zip(chosen, ratio, strict=True)]
            inputs, targets = map(np.stack, zip(*sounds, strict=True))
            return {"inputs": inputs, "targets": targets, "snr": ratio}

        return padded(len(pairs) * len(ratios), self.eval_batch_size, batch)

    def _samples(self) -> int:
        return round(self.duration * self.rate)

    def _pair(self, rng: np.random.Generator, split: str) -> tuple[np.ndarray, np.ndarray]:
        """A clean sound and noise, each [N]."""
        samples = self._samples()
        if self.path is None:
            clean = audio_generated.melody(rng, samples, self.rate)
        else:
            clean = self._speech(rng, split)
        clean = clean * (0.05 * 10 ** (rng.uniform(-self.gain, self.gain) / 20) / _rms(clean))
        if self.noise is None:
            return clean, audio_generated.noise(rng, samples)
        data = self._noises()
        sound = data.sounds[rng.choice(data.rows(split))]
        start = rng.integers(len(sound))
        noise = np.resize(np.roll(sound, -start), samples)
        if not noise.any():  # a silent part of a recording
            noise = sound if sound.any() else rng.normal(size=samples)
        return clean, np.resize(noise, samples)

    def _speech(self, rng: np.random.Generator, split: str) -> np.ndarray:
        data = self.recordings()
        rows, samples = data.rows(split), self._samples()
        rows = rows[data.speakers[rows] == data.speakers[rng.choice(rows)]]
        parts, length = [], 0
        while length < samples:
            pause = np.zeros(round(rng.uniform(0, self.pause) * self.rate), np.float32)
            parts += [pause, data.sounds[rng.choice(rows)]]
            length += len(parts[-2]) + len(parts[-1])
        return np.concatenate(parts)[:samples]

    def _noises(self) -> Recordings:
        return recordings(self.noise, self.rate, resample=self.resample, field="noise")

    def spec(self) -> Spec:
        shape = (self.batch_size, self._samples()), np.dtype(np.float32)
        return Spec({"inputs": shape, "targets": shape}, {"rate": self.rate})

    def metadata(self) -> dict[str, Any]:
        """rate, eval_snrs and digest (of recordings and noises, where they are not generated).

        Raises:
            UserError: a recording or noise cannot be read, or a split has none.
        """
        digest = []
        for path, read in ((self.path, self.recordings), (self.noise, self._noises)):
            if path is None:
                continue
            data = read()
            for split in STREAMS:
                data.rows(split)
            digest.append(data.digest)
        digest = " ".join(digest) or "generated"
        return {"rate": self.rate, "eval_snrs": list(self.eval_snrs), "digest": digest}


@functools.lru_cache(maxsize=4)
def _evaluated(data: NoisySpeech, split: str) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(STREAMS[split])
    return [data._pair(rng, split) for _ in range(data.eval_size)]


def mixed(clean: np.ndarray, noise: np.ndarray, snr: float) -> tuple[np.ndarray, np.ndarray]:
    """The noisy and the clean sound [N] (float32), the noise scaled to that ratio in dB.

    >>> noisy, clean = mixed(np.array([1.0, -1.0]), np.array([3.0, 3.0]), 0.0)
    >>> (noisy - clean).tolist()
    [1.0, 1.0]
    """
    noise = noise * (_rms(clean) / _rms(noise) * 10 ** (-snr / 20))
    return (clean + noise).astype(np.float32), clean.astype(np.float32)


def _rms(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) or 1.0
