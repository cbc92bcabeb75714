"""Generated handwriting: words of a small vector alphabet, written with a style of their own."""

import functools

import numpy as np

from nets.data.stroke_files import Drawings

# Points of each letter's strokes, two digits each: x from the left, and y, of which 3 is the
# baseline, 6 the height of a small letter, 9 that of a tall one and 0 the bottom of a g.
_LETTERS = {
    "a": "45 26 05 04 13 33 45 46 43 53", "b": "09 06 03 04 26 45 44 33 13 04",
    "c": "45 36 16 05 04 13 33 44", "d": "45 26 05 04 13 33 45 49 43 53",
    "e": "04 34 45 36 16 05 04 13 33 44", "f": "48 39 28 25 23/06 46",
    "g": "45 26 05 04 13 33 45 46 42 30 10 01", "h": "09 06 03 05 26 36 45 43",
    "i": "06 04 13 23/08 18", "j": "26 22 11 01/28 38", "k": "09 06 03/46 04 43",
    "l": "09 04 13 23", "m": "06 03 05 16 26 35 33 35 46 56 65 63", "n": "06 03 05 26 36 45 43",
    "o": "26 05 04 13 33 44 45 36 26", "p": "06 03 00 04 05 26 45 44 33 13 04",
    "q": "45 26 05 04 13 33 45 46 43 40 51", "r": "06 03 05 26 36", "s": "45 26 05 14 34 43 23 04",
    "t": "29 24 33 43/06 46", "u": "06 04 13 33 45 46 43 53", "v": "06 23 46",
    "w": "06 13 35 53 66", "x": "06 43/46 03", "y": "06 04 13 33 45 46 42 30 10 01",
    "z": "06 46 03 43",
}  # fmt: skip
ALPHABET = " " + "".join(_LETTERS)
_SPACE, _GAP = 4.0, 2.0  # the width of a space, and the distance between letters
_STEP = 1.3  # distance between points of a stroke


def write(text: str, rng: np.random.Generator) -> np.ndarray:
    """A text as points [N, 3] float32: offsets from the point before, y downwards, and pen bits.

    The unit is a quarter of the width of a letter, more or less: each call draws a slant, a width,
    a height, a pace and a tremor, and each letter is a little different. The first point, at which
    the pen starts, is left out.
    """
    slant, pace = rng.uniform(-0.15, 0.5), _STEP * rng.uniform(0.85, 1.15)
    size = np.array([rng.uniform(0.75, 1.25), rng.uniform(0.85, 1.2)])
    rough, drift = rng.uniform(0.08, 0.25), rng.normal(0, 0.02)
    points, left = [], 0.0
    for letter in text:
        if letter == " ":
            left += _SPACE
            continue
        strokes = _control_points(letter)
        for stroke in strokes:
            placed = stroke + rng.normal(0, rough, stroke.shape) + [left, -3]
            placed[:, 1] += drift * placed[:, 0]
            placed = placed * size
            placed[:, 0] += slant * placed[:, 1]
            curve = _resampled(_spline(len(placed)) @ placed, pace)
            stroke = np.zeros((len(curve), 3))
            stroke[:, :2], stroke[-1, 2] = curve * [1, -1], 1
            points.append(stroke)
        left += max(stroke[:, 0].max() for stroke in strokes) + _GAP + rng.normal(0, 0.2)
    whole = np.concatenate(points)
    whole[1:, :2] -= whole[:-1, :2].copy()
    return whole[1:].astype(np.float32)


def words(rng: np.random.Generator) -> str:
    """One or two words of two to five random letters."""
    letters = ALPHABET[1:]
    lengths = rng.integers(2, 6, rng.integers(1, 3))
    return " ".join("".join(letters[k] for k in rng.integers(0, 26, n)) for n in lengths)


def generated(size: int) -> dict[str, Drawings]:
    """Words by split, `size` to train on and 500 for each evaluation; always the same."""
    parts = {}
    for k, (split, n) in enumerate({"train": size, "validation": 500, "test": 500}.items()):
        rng = np.random.default_rng(k)
        texts = [words(rng) for _ in range(n)]
        parts[split] = Drawings([write(text, rng) for text in texts], texts)
    return parts


@functools.cache
def _control_points(letter: str) -> list[np.ndarray]:
    strokes = _LETTERS[letter].split("/")
    return [np.array([(float(x), float(y)) for x, y in stroke.split()]) for stroke in strokes]


@functools.cache
def _spline(points: int, between: int = 6) -> np.ndarray:
    """The matrix that takes so many points to a Catmull-Rom spline through them, by pieces of
    `between` points."""
    p = np.concatenate([np.eye(points)[:1], np.eye(points), np.eye(points)[-1:]])
    t = np.linspace(0, 1, between, endpoint=False)[None, :, None]
    a, b, c, d = (p[k : len(p) - 3 + k, None] for k in range(4))  # [points - 1, 1, points]
    curve = (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return np.concatenate([curve.reshape(-1, points) / 2, p[-1:]])


def _resampled(curve: np.ndarray, step: float) -> np.ndarray:
    """Points of a curve [N, 2] at equal distances of about `step` along it, both ends kept."""
    along = np.zeros(len(curve))
    np.cumsum(np.hypot(*(curve[1:] - curve[:-1]).T), out=along[1:])
    places = np.linspace(0, along[-1], 1 + max(1, round(along[-1] / step)))
    return np.stack([np.interp(places, along, axis) for axis in curve.T], axis=1)
