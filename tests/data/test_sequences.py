"""Generated problems and pixel sequences: what they ask, and that they are fixed by (seed, i)."""

import math

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nets.data.numerals import in_words
from nets.data.pixels import Pixels
from nets.data.sequences import Adding, Brackets, CopyMemory, NumberWords, Recall
from nets.errors import UserError

SMALL = {"batch_size": 5, "eval_size": 7, "eval_batch_size": 3}
PROBLEMS = [
    Adding(length=9, **SMALL),
    CopyMemory(delay=4, symbols=3, span=2, **SMALL),
    Recall(distance=6, symbols=4, **SMALL),
    Brackets(length=30, depth=2, **SMALL),
    NumberWords(maximum=120, **SMALL),
]
of_all = pytest.mark.parametrize("data", PROBLEMS, ids=lambda data: type(data).__name__)


def whole(data, split):
    """The rows of an evaluation set that are not padding."""
    batches = [data.evaluate(split)[i] for i in range(len(data.evaluate(split)))]
    rows = {k: np.concatenate([batch[k] for batch in batches]) for k in batches[0]}
    kept = rows["mask"].reshape(len(rows["mask"]), -1).any(1)
    return {k: a[kept] for k, a in rows.items()}


@of_all
def test_batches_are_functions_of_seed_and_step(data):
    def same(a, b):
        return all(np.array_equal(a[k], b[k]) for k in a)

    first = data.train(3)[10]
    assert same(first, data.train(3)[10])
    assert not same(first, data.train(3)[11]) and not same(first, data.train(4)[10])
    assert {k: (a.shape, a.dtype) for k, a in first.items()} == data.spec().arrays
    assert len(data.train(0)) > 10**9


@of_all
def test_evaluation_sets_are_fixed_and_padded(data):
    kept = whole(data, "validation")
    assert len(kept["inputs"]) == 7 and len(data.evaluate("validation")) == 3
    other = type(data)(**{**vars(data), "eval_batch_size": 7})
    for name, rows in whole(other, "validation").items():
        np.testing.assert_array_equal(rows, kept[name])
    assert not np.array_equal(kept["inputs"], whole(data, "test")["inputs"])
    assert not np.array_equal(kept["inputs"][:5], data.train(1)[0]["inputs"])
    assert data.metadata()["digest"] == other.metadata()["digest"]
    with pytest.raises(UserError, match="no split train; it has validation, test"):
        data.evaluate("train")


def test_adding():
    data = Adding(length=7, eval_size=20_000, eval_batch_size=20_000)
    batch = data.evaluate("test")[0]
    for x, target in zip(batch["inputs"][:200], batch["targets"], strict=False):
        marked = [t for t in range(7) if x[t, 1] == 1]
        assert len(marked) == 2 and marked[0] < 3 <= marked[1] and x[:, 1].sum() == 2
        assert target == pytest.approx(x[marked[0], 0] + x[marked[1], 0])
    assert set(np.nonzero(batch["inputs"][..., 1])[1]) == set(range(7))
    values = batch["inputs"][..., 0]
    assert values.min() >= 0 and values.max() <= 1 and values.std() == pytest.approx(12**-0.5, 0.01)
    assert np.mean((batch["targets"] - 1) ** 2) == pytest.approx(1 / 6, rel=0.03)  # 2 / 12


def test_copy_memory():
    data = CopyMemory(delay=3, symbols=4, span=2, batch_size=500)
    batch = data.train(0)[0]
    for x, y in zip(batch["inputs"], batch["targets"], strict=True):
        assert list(x[2:]) == [0, 0, 5, 5, 5]  # 3 steps from the last symbol to its target's first
        assert list(y) == [0, 0, 0, 0, 0, *x[:2]]
    assert set(batch["inputs"][:, :2].ravel()) == {1, 2, 3, 4}
    metadata = data.metadata()
    assert (metadata["vocab_size"], metadata["num_classes"]) == (6, 5)
    # without memory: nothing is lost on blanks, and log 4 on each of 2 of the 7 steps
    assert metadata["memoryless_loss"] == pytest.approx(2 * 1.3862944 / 7)
    published = CopyMemory(eval_size=1).metadata()["memoryless_loss"]
    assert published == pytest.approx(10 * math.log(8) / 1020) == pytest.approx(0.0204, abs=5e-5)


def test_copy_memory_by_lessons():
    """Batch by batch, by hand: two at 4, then two each at 6, 9, 13.5 and the whole 18."""
    data = CopyMemory(delay=18, span=1, first_delay=4, first_batches=2, grow_every=2, eval_size=3)
    steps = [data.train(0)[i]["inputs"].shape[1] for i in range(11)]
    assert [n - 2 for n in steps] == [4, 4, 6, 6, 9, 9, 14, 14, 18, 18, 18]
    assert data.train(0)[100_000]["inputs"].shape[1] == 18 + 2  # no overflow on the way
    steps = data.spec().arrays["inputs"][0][1]
    assert data.evaluate("test")[0]["inputs"].shape[1] == steps == 18 + 2
    batch = data.train(0)[2]
    np.testing.assert_array_equal(batch["inputs"][:, 0], batch["targets"][:, -1])
    assert CopyMemory(first_delay=None).train(0)[0]["inputs"].shape[1] == 1020


def test_recall():
    data = Recall(distance=4, symbols=3, distractors=2, batch_size=500)
    batch = data.train(0)[0]
    assert batch["inputs"].shape == (500, 5)
    first, between, last = np.split(batch["inputs"], (1, 4), axis=1)
    assert (set(first.flat), set(between.flat), set(last.flat)) == ({0, 1, 2}, {3, 4}, {5})
    for x, y, mask in zip(*(batch[k] for k in ("inputs", "targets", "mask")), strict=True):
        assert list(y) == [x[0]] * 5 and list(mask) == [0, 0, 0, 0, 1]
    metadata = data.metadata()
    assert metadata["num_classes"] == 3 and metadata["vocab_size"] == 6
    assert metadata["input_symbols"] == [*"ABCab?"] and metadata["output_symbols"] == [*"ABC"]


def test_brackets():
    data = Brackets(length=50, depth=3, batch_size=100)
    batch, symbols, reached = data.train(0)[0], data.metadata()["input_symbols"], set()
    for x, y in zip(batch["inputs"], batch["targets"], strict=True):
        depth = 0
        for symbol, given in zip(x, y, strict=True):
            depth += {"x": 0, "(": 1, ")": -1}[symbols[symbol]]
            assert given == depth
            reached.add(depth)
    assert reached == {0, 1, 2, 3} and data.metadata()["num_classes"] == 4


def test_brackets_to_come():
    """The number of open brackets three steps later, and no score where the inputs end before."""
    batch = Brackets(length=12, depth=2, ahead=3, batch_size=50).train(0)[0]
    change = np.array([0, 1, -1])[batch["inputs"]]
    np.testing.assert_array_equal(batch["targets"][:, :-3], change.cumsum(1)[:, 3:])
    np.testing.assert_array_equal(batch["mask"], np.tile([1.0] * 9 + [0.0] * 3, (50, 1)))
    assert "mask" not in Brackets(length=12).train(0)[0]


@pytest.mark.parametrize(("known", "best"), [(0, 0.316), (1, 0.341), (2, 0.4145), (4, 1.0)])
def test_the_best_guess_at_brackets_to_come(known, best):
    """By the chain's transition matrix P: the number of open brackets is known up to so many steps
    ahead, and the likeliest after the rest of the four is guessed. look_ahead quotes these."""
    transition = np.zeros((6, 6))
    for level in range(6):
        for step, p in ((0, 0.2), (1, 0.4), (-1, 0.4)):
            transition[level, np.clip(level + step, 0, 5)] += p
    after = [np.linalg.matrix_power(transition, t + 1)[0] for t in range(40)]
    rest = np.linalg.matrix_power(transition, 4 - known)
    assert (np.mean(after[known : 36 + known], 0) @ rest.max(1)) == pytest.approx(best, abs=5e-4)
    batch = Brackets(length=40, depth=5, ahead=4, batch_size=3000).train(0)[0]
    change = np.array([0, 1, -1])[batch["inputs"]]
    guesses = rest.argmax(1)[change.cumsum(1)[:, known : 36 + known]]
    assert np.mean(guesses == batch["targets"][:, :36]) == pytest.approx(best, abs=5e-3)


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety-nine"),
        (100, "one hundred"),
        (407, "four hundred and seven"),
        (1000, "one thousand"),
        (2041, "two thousand and forty-one"),
        (3512, "three thousand five hundred and twelve"),
        (700_020, "seven hundred thousand and twenty"),
    ],
)
def test_numbers_in_words(n, words):
    assert in_words(n) == words


def test_text_of_generated_problems_goes_in_and_comes_out():
    data = NumberWords(eval_size=2)
    metadata = data.metadata()
    words, figures = data.tokenizer(metadata), data.target_tokenizer(metadata)
    assert words.decode(words.encode("two-one")) == "two-one"
    assert figures.decode([3, 1, 0, 5]) == "20"
    with pytest.raises(UserError, match="'2, Ä' has '2,Ä', which the .* lacks: valid are ' -adef"):
        words.encode("2, Ä")
    adding = Adding()
    assert adding.tokenizer(adding.metadata()) is None


def test_number_words_hold_numbers_out():
    data = NumberWords(maximum=120, batch_size=400, eval_size=10, eval_batch_size=10)
    metadata, met = data.metadata(), {}
    for split in ("train", "validation", "test"):
        batch = data.train(0)[0] if split == "train" else data.evaluate(split)[0]
        met[split] = set()
        for x, y, mask in zip(*(batch[k] for k in ("inputs", "targets", "mask")), strict=True):
            figures = "".join(metadata["output_symbols"][i] for i in y)
            assert "".join(metadata["input_symbols"][i] for i in x) == in_words(int(figures))
            assert len(x) == len("one hundred and seventeen")
            assert list(mask) == [1] * (len(figures) + 1) + [0] * (3 - len(figures))
            met[split].add(int(figures))
    assert len(met["validation"]) == len(met["test"]) == 10
    assert not met["validation"] & met["test"]
    assert not met["train"] & (met["validation"] | met["test"])
    assert len(met["train"]) > 90  # of 101


@pytest.mark.parametrize("by", ["pixel", "row"])
@pytest.mark.parametrize("permuted", [False, True])
def test_pixels_are_those_of_the_images(by, permuted):
    data = Pixels(name="digits", by=by, permuted=permuted, permutation_seed=3, eval_batch_size=50)
    stored = {
        image.tobytes(): label for image, label in zip(*load_digits(return_X_y=True), strict=True)
    }
    steps, size = (64, 1) if by == "pixel" else (8, 8)
    order = data.metadata()["order"]
    assert (order is not None) == permuted
    for batch in (data.train(0)[0], data.evaluate("test")[0]):
        assert batch["inputs"].shape[1:] == (steps, size)
        for x, label in zip(batch["inputs"], batch["targets"], strict=True):
            back = np.empty_like(x)
            back[order if permuted else slice(None)] = x
            assert stored[np.rint(back.ravel() * 16).astype(np.float64).tobytes()] == label
    batch = data.train(0)[0]
    assert {k: (a.shape, a.dtype) for k, a in batch.items()} == data.spec().arrays
    if permuted:
        assert sorted(order) == list(range(steps)) != order
        assert order == data.metadata()["order"]
        assert order != Pixels(name="digits", by=by, permuted=True).metadata()["order"]


def test_pixels_to_draw():
    drawn, read = (Pixels(name="digits", by="row", draw=draw) for draw in (True, False))
    a, b = drawn.train(0)[0], read.train(0)[0]
    np.testing.assert_array_equal(a["inputs"], b["targets"])
    np.testing.assert_array_equal(a["targets"], b["inputs"])
    assert drawn.spec().arrays["targets"] == read.spec().arrays["inputs"]
    assert "mask" in drawn.evaluate("test")[0]
    assert drawn.metadata()["vocab_size"] == 10 == read.metadata()["num_classes"]
    assert "num_classes" not in drawn.metadata() and drawn.metadata()["shape"] == [8, 8, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adding(length=1), r"length must be at least 2, got 1"),
        (lambda: Adding(eval_size=0), r"eval_size must be at least 1, got 0"),
        (lambda: CopyMemory(delay=0), r"delay must be at least 1, got 0"),
        (
            lambda: CopyMemory(first_delay=1001),
            r"first_delay must be from 1 to .*1000, got 1001",
        ),
        (lambda: CopyMemory(first_delay=0), r"first_delay must be from 1 to delay=1000, got 0"),
        (lambda: CopyMemory(grow_every=0), r"grow_every must be at least 1, got 0"),
        (lambda: CopyMemory(first_batches=-1), r"first_batches must be at least 0, got -1"),
        (lambda: Recall(symbols=1), r"symbols must be at least 2, got 1"),
        (lambda: Recall(distractors=0), r"distractors must be at least 1, got 0"),
        (lambda: Recall(distance=0), r"distance must be at least 1, got 0"),
        (lambda: Brackets(depth=0), r"depth must be at least 1, got 0"),
        (lambda: Brackets(length=9, ahead=9), r"ahead must be at least 0 and below 9, got 9"),
        (lambda: NumberWords(maximum=99), r"maximum must be from 2000, .*, got 99"),
        (lambda: NumberWords(maximum=10**6), r"maximum must be .* to 999999, got 1000000"),
        (lambda: Pixels(by="column"), r"by must be one of pixel, row, got column"),
        (lambda: Pixels(permutation_seed=-1), r"permutation_seed must be at least 0, got -1"),
        (lambda: Pixels(batch_size=0), r"batch_size must be at least 1, got 0"),
    ],
)
def test_impossible_values_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()
