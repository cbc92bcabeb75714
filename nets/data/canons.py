"""Generated music: canons over a ground bass."""

import numpy as np

from nets.data.music_files import KEYS, LOWEST

BEAT = 4  # frames
_GROUND = (0, 4, 5, 2, 3, 0, 3, 4)  # degrees of the scale: I V vi iii IV I IV V
_SCALE = np.array([0, 2, 4, 5, 7, 9, 11])
DELAY = BEAT * len(_GROUND)  # frames from one voice to the next


def canon(rng: np.random.Generator) -> np.ndarray:
    """A canon in three voices over a ground bass, [T, 88] uint8.

    Four frames are a beat. The bass plays the eight chords of Pachelbel's canon, one a beat. A
    melody of random steps and leaps, whose beats are notes of the chord, is played from the second
    round on, repeated a round (32 frames) later by a second voice, and another round later by a
    third an octave lower. Key, melody and number of rounds are drawn: what a voice is going to play
    can be known from the voice before it, 32 frames back.
    """
    key, rounds = rng.integers(-5, 7), rng.integers(3, 6)
    melody = _melody(rng, rounds * len(_GROUND))
    frames = DELAY * (rounds + 3)
    roll = np.zeros((frames, KEYS), np.uint8)
    for beat in range(frames // BEAT):
        degree = _GROUND[beat % len(_GROUND)]
        roll[BEAT * beat : BEAT * beat + BEAT, _key(degree, 43 + key)] = 1
    for voice, octave in enumerate((0, 0, -12)):
        start = DELAY * (voice + 1)
        for frame, degree in enumerate(melody[: frames - start]):
            if degree is not None:
                roll[start + frame, _key(degree, 67 + key + octave)] = 1
    return roll


def _melody(rng: np.random.Generator, beats: int) -> list[int | None]:
    """The degree in every frame, None where the voice is silent."""
    melody, last = [], 7
    for beat in range(beats):
        chord = _GROUND[beat % len(_GROUND)]
        tones = [d for d in range(2, 13) if (d - chord) % 7 in (0, 2, 4) and abs(d - last) <= 4]
        note = int(rng.choice(tones))
        rhythm = rng.choice(3, p=[0.45, 0.4, 0.15])  # a beat, two halves, a half and a rest
        between = note + int(rng.choice([-1, 1]))
        halves = {0: [note, note], 1: [note, between], 2: [note, None]}[int(rhythm)]
        melody += [d for d in halves for _ in range(BEAT // 2)]
        last = note
    return melody


def _key(degree: int, tonic: int) -> int:
    """The key of a degree of the major scale on a pitch."""
    return tonic + 12 * (degree // 7) + int(_SCALE[degree % 7]) - LOWEST
