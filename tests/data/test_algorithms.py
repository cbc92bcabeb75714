"""Problems of a Turing machine: what is asked, by hand; fixed by seed and step; sizes; mistakes."""

import dataclasses

import numpy as np
import pytest

from nets.data.algorithms import AssociativeRecall, Copy, PrioritySort, RepeatCopy
from nets.data.ngrams import NGrams
from nets.errors import UserError

SMALL = {"batch_size": 3, "eval_size": 7, "eval_batch_size": 4, "longer_rows": 5}
PROBLEMS = [
    Copy(width=3, max_length=4, longer_lengths=(6, 9), **SMALL),
    RepeatCopy(width=3, max_length=3, max_repeats=4, longer_length=5, longer_repeats=6, **SMALL),
    AssociativeRecall(width=5, item_length=2, max_items=4, longer_items=(6,), **SMALL),
    PrioritySort(width=3, count=5, kept=3, **SMALL),
    NGrams(length=20, order=3, **SMALL),
]
COPY, REPEAT, RECALL, SORT, NGRAMS = PROBLEMS
of_all = pytest.mark.parametrize("data", PROBLEMS, ids=lambda data: type(data).__name__)


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def rows(data, split="validation"):
    """The rows of a split, each cut after its last step that counts."""
    for batch in data.evaluate(split):
        for row in range(len(batch["mask"])):
            steps = np.flatnonzero(batch["mask"][row])
            if steps.size:
                yield {k: a[row] for k, a in batch.items()} | {"steps": steps}


@of_all
def test_batches_are_functions_of_seed_and_step_and_have_the_shapes_of_the_spec(data):
    batches = data.train(3)
    assert same(batches[5], data.train(3)[5])
    assert not same(batches[5], batches[6]) and not same(batches[5], data.train(4)[5])
    for name, (shape, dtype) in data.spec().arrays.items():
        array = batches[5][name]
        assert array.dtype == dtype and len(array) == 3 and array.ndim == len(shape)
        assert all(n <= most for n, most in zip(array.shape, shape, strict=True))
    assert batches[5]["mask"].shape[1] % 8 == 0
    assert data.metadata()["num_outputs"] == batches[5]["targets"].shape[2]
    assert data.metadata()["digest"] != dataclasses.replace(data, eval_size=8).metadata()["digest"]


@of_all
def test_splits_have_their_rows_and_only_the_test_has_longer_ones(data):
    groups = [int(row["group"]) for row in rows(data)]
    assert groups == [0] * 7
    names = data.metadata()["groups"]
    expected = [0] * 7 + [k for k in range(1, len(names) + 1) for _ in range(5)]
    assert [int(row["group"]) for row in rows(data, "test")] == expected
    with pytest.raises(UserError, match="has no split train"):
        data.evaluate("train")


def test_copies_are_the_vectors_between_two_marks():
    for row in [*rows(COPY), *rows(COPY, "test")]:
        x, steps = row["inputs"], row["steps"]
        length = len(steps) - 1
        assert x[0].tolist() == [0, 0, 0, 1, 0] and x[length + 1].tolist() == [0, 0, 0, 0, 1]
        assert steps[0] == length + 2 and not x[length + 2 :].any()
        np.testing.assert_array_equal(row["targets"][steps[:-1], :3], x[1 : length + 1, :3])
        np.testing.assert_array_equal(row["targets"][steps, 3], [*[0] * length, 1])
        group = int(row["group"])
        assert length <= 4 if group == 0 else length == (6, 9)[group - 1]
    assert {len(row["steps"]) - 1 for row in rows(COPY)} == {1, 2, 3, 4}
    assert len({len(np.flatnonzero(m)) for m in COPY.train(0)[0]["mask"]}) == 1


def test_repeated_copies_have_as_many_as_the_mark_says():
    values = {r: (r - 2.5) / np.sqrt(1.25) for r in (1, 2, 3, 4, 6)}
    marks = [values[r] for r in (1, 2, 3, 4)]
    assert np.mean(marks) == pytest.approx(0) and np.var(marks) == pytest.approx(1)
    seen = set()
    for row in [*rows(REPEAT), *rows(REPEAT, "test")]:
        x, steps = row["inputs"], row["steps"]
        (at,) = np.flatnonzero(x[:, 4])
        length, repeats = at - 1, (len(steps) - 1) // (at - 1)
        assert x[at, 4] == pytest.approx(values[repeats]) and steps[0] == at + 1
        copies = row["targets"][steps[:-1], :3].reshape(repeats, length, 3)
        np.testing.assert_array_equal(copies, np.broadcast_to(x[1:at, :3], copies.shape))
        assert row["targets"][steps, 3].tolist() == [0.0] * (len(steps) - 1) + [1.0]
        seen.add((length, repeats))
    assert {(5, 4), (3, 6)} <= seen


def test_the_answer_of_a_recall_is_the_item_after_the_one_that_is_shown():
    for row in [*rows(RECALL), *rows(RECALL, "test")]:
        x, steps = row["inputs"], row["steps"]
        marks, query = np.flatnonzero(x[:, 5]), np.flatnonzero(x[:, 6])
        assert query.tolist() == [query[0], query[0] + 3] and steps.tolist() == [
            query[1] + 1,
            query[1] + 2,
        ]
        asked = x[query[0] + 1 : query[1], :5]
        items = [x[m + 1 : m + 3, :5] for m in marks]
        followers = [b for a, b in zip(items, items[1:], strict=False) if (a == asked).all()]
        assert any((row["targets"][steps] == item).all() for item in followers)
        assert len(items) == 6 if row["group"] else 2 <= len(items) <= 4


def test_a_sort_gives_the_highest_priorities_first():
    for row in rows(SORT):
        x, steps = row["inputs"], row["steps"]
        assert x[5].tolist() == [0, 0, 0, 0, 1] and steps.tolist() == [6, 7, 8]
        order = sorted(range(5), key=lambda k: -x[k, 3])[:3]
        np.testing.assert_array_equal(row["targets"][steps], x[order, :3])
        assert np.abs(x[:5, 3]).max() <= 1


def test_bits_follow_the_bits_and_the_best_estimator_counts_contexts():
    for row in rows(NGRAMS):
        x, steps = row["inputs"][:19, 0].astype(int), row["steps"]
        assert steps.tolist() == [*range(1, 19)]
        bits = [*x, int(row["targets"][18, 0])]
        assert row["targets"][steps[:-1], 0].tolist() == bits[2:19]
        cost, counts = 0.0, {}
        for t in range(2, 20):
            ones, zeros = (counts.get((bits[t - 2], bits[t - 1], b), 0) for b in (1, 0))
            one = (ones + 0.5) / (ones + zeros + 1)
            cost -= np.log2(one if bits[t] else 1 - one)
            key = bits[t - 2], bits[t - 1], bits[t]
            counts[key] = counts.get(key, 0) + 1
        assert row["optimal"] == pytest.approx(cost, rel=1e-5)


def test_bits_after_a_context_are_as_random_as_beta_says():
    """The variance of a probability from Beta(1/2, 1/2) is 1/8: half of all pairs agree, and
    another 1/8 / (1/4) of the rest, so that two bits after the same context agree with 3/4."""
    data = dataclasses.replace(NGRAMS, order=6, length=200)
    rows = data.draw(np.random.default_rng(0), 300, "validation")
    agree = []
    for x, y in zip(rows["inputs"][..., 0], rows["targets"][..., 0], strict=True):
        first = {}
        for t in range(5, 199):
            context = (*x[t - 4 : t + 1],)
            if context in first and first[context] is not None:
                agree.append(first[context] == y[t])
                first[context] = None  # one pair of each context
            first.setdefault(context, y[t])
    assert np.mean(agree) == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Copy(max_length=0), "max_length must be at least 1, got 0"),
        (lambda: Copy(longer_lengths=(3, 0)), "longer_lengths must be at least 1, got 0"),
        (lambda: Copy(longer_lengths=(*range(1, 9),)), "longer_lengths must have at most 7 values"),
        (lambda: RepeatCopy(max_repeats=1), "max_repeats must be at least 2, got 1"),
        (lambda: AssociativeRecall(longer_items=(1,)), "longer_items must be at least 2, got 1"),
        (lambda: PrioritySort(count=3, kept=4), "kept must be at most count=3, got 4"),
        (lambda: NGrams(length=4), "length must be at least 6, got 4"),
        (lambda: Copy(steps_multiple=0), "steps_multiple must be at least 1, got 0"),
    ],
)
def test_mistakes_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()
