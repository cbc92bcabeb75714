"""Figures of a language model: units that follow the text, words that are attended to."""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from nets.report.attended_words import AttendedWords, Sentence
from nets.report.figures import Figure
from nets.report.highlighted_text import HighlightedText

_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”"}  # marks, by the one that closes
_APOSTROPHE = re.compile(r"(?<=\w)(?<!\b[rbfuRBFU])(?<!\b[rbfRBF]{2})(?='\w)")  # r'a' is a string


def text_features(text: str) -> dict[str, np.ndarray]:
    """Readable properties of every character of a text, each [N], from 0 to 1.

    An apostrophe within a word is no quote.
    """
    n = len(text)
    column, depth, quoted, comment, upper = (np.zeros(n) for _ in range(5))
    start, level, quote, hashed = 0, 0, "", False
    apostrophes = {m.end() for m in _APOSTROPHE.finditer(text)}
    for i, c in enumerate(text):
        if c == "\n":
            hashed = False
        if c == "#" and not quote:
            hashed = True
        if c in "([{":
            level += 1
        column[i], depth[i], comment[i] = min(i - start, 80) / 80, min(level, 3) / 3, hashed
        start = i + 1 if c == "\n" else start
        mark = _QUOTES.get(c, "") if i not in apostrophes else ""
        quoted[i], upper[i] = bool(quote or mark), c.isupper()
        if c in ")]}":
            level = max(level - 1, 0)
        if mark and not hashed:
            quote = "" if quote == mark else quote or mark
    words = np.array([c.isalnum() for c in text], float)
    return {
        "position in the line": column, "inside brackets": depth, "inside quotes": quoted,
        "inside a comment": comment, "capital letter": upper, "inside a word": words,
    }  # fmt: skip


def cells_view(
    model: nn.Module,
    params: Any,
    vocabulary: Sequence[str],
    batches: Iterable[dict],
    length: int = 800,
    units_drawn: int = 4,
) -> HighlightedText:
    """The units that follow a readable property of the text most closely.

    Interpretability here is the absolute correlation of a unit's output over the text with one of
    `text_features`; of each feature's best unit, the `units_drawn` best are drawn (cf. Karpathy,
    Johnson and Li 2015, figure 2), with the sign that makes the correlation positive.
    """
    width = batches[0]["inputs"].shape[1]
    segments = [*itertools.islice(batches, math.ceil(length / width))]
    ids = np.concatenate([batch["inputs"][:1] for batch in segments], 1)[:, :length]
    if "mask" in segments[0]:
        ids = ids[:, : sum(int(batch["mask"][0].sum()) for batch in segments)]
    stages = _stages(model, params, ids, width)
    text = "".join(vocabulary[i] for i in ids[0])
    names = [f"{layer}, unit {u}" for layer, h in stages.items() for u in range(h.shape[-1])]
    units = np.concatenate([h[0].astype(np.float64) for h in stages.values()], -1).T  # [U, N]
    features = text_features(text)
    candidates = []
    for feature, values in features.items():
        if values.std() == 0:
            continue
        centred = units - units.mean(1, keepdims=True)
        scale = np.maximum(units.std(1), 1e-3) * values.std() * len(text)
        correlation = centred @ (values - values.mean()) / scale
        best = int(np.abs(correlation).argmax())
        candidates.append((abs(correlation[best]), best, feature, np.sign(correlation[best])))
    candidates = sorted(candidates, reverse=True)[:units_drawn]
    captions = tuple(
        f"{names[u]}: follows '{feature}', correlation {r:.2f}" for r, u, feature, _ in candidates
    )
    signals = np.stack([sign * units[u] for _, u, _, sign in candidates])
    return HighlightedText(
        "Units whose activation follows a feature of the text", text, signals, captions
    )


def _stages(model: nn.Module, params: Any, ids: np.ndarray, width: int) -> dict[str, np.ndarray]:
    """The stages [1, N, ...] of a text [1, N] that is read in segments of this width."""

    @jax.jit
    def read(ids, carry, reset):
        return model.apply({"params": params}, ids, carry, reset, train=False, stages=True)

    carry, parts = model.initial_carry((1,)), []
    for start in range(0, ids.shape[1], width):
        segment = ids[:, start : start + width]
        _, carry, stages = read(segment, carry, np.array([start == 0]))
        parts.append(jax.device_get(stages))
    return {name: np.concatenate([part[name] for part in parts], 1) for name in parts[0]}


_UNKNOWN, _NEWLINE = "<unk>", "<eos>"  # of `nets.data.tokenizers`
_ENDS = (".", "!", "?", ";", _NEWLINE)
_WORDS = (6, 14)  # of a sentence that is drawn, with its full stop
_SENTENCES = 3


def attended_words(
    model: nn.Module, params: Any, vocabulary: Sequence[str], batches: Iterable[dict]
) -> dict[str, Figure]:
    """Sentences word by word, with the attention to the earlier words (Cheng et al. 2016, figure
    1), of a model whose steps have weights."""

    @jax.jit
    def read(ids):  # [T] -> [T, K], the attention to the K latest symbols, the newest last
        variables = {"params": params}
        memory, carry = model.apply(variables, ids[None, :0], method="start")

        def step(carry, symbol):
            carry, _, weights = model.apply(variables, memory, carry, symbol[None], method="step")
            return carry, weights[0]

        return jax.lax.scan(step, carry, ids)[1]

    drawn = []
    for ids in itertools.islice(_sentences(vocabulary, batches), _SENTENCES):
        padded = np.pad(ids, (0, _WORDS[1] - len(ids)))
        latest = np.asarray(read(padded))
        if not latest.shape[1]:
            return {}
        n, k = len(ids), latest.shape[1]
        weights = np.zeros((n, n))
        for t, s in zip(*np.tril_indices(n), strict=True):
            weights[t, s] = latest[t, k - 1 - (t - s)] if t - s < k else 0
        drawn.append(Sentence(tuple(vocabulary[i] for i in ids), weights))
    if not drawn:
        return {}
    title = "Word by word: the current one in orange, in blue what it attends to"
    return {"attention": AttendedWords(title, tuple(drawn))}


def _sentences(vocabulary: Sequence[str], batches: Iterable[dict]) -> Iterator[np.ndarray]:
    """Whole sentences of known words in the streams' first rows, none twice."""
    ids = np.concatenate([batch["inputs"][0] for batch in batches])
    ends = [vocabulary.index(mark) for mark in _ENDS if mark in vocabulary]
    where = np.flatnonzero(np.isin(ids, ends))
    unknown = [i for i, symbol in enumerate(vocabulary) if symbol in (_UNKNOWN, _NEWLINE)]
    found = set()
    for start, end in itertools.pairwise(where):
        sentence = ids[start + 1 : end + 1]
        if not _WORDS[0] <= len(sentence) <= _WORDS[1] or np.isin(sentence, unknown).any():
            continue
        if tuple(sentence) not in found:
            found.add(tuple(sentence))
            yield sentence
