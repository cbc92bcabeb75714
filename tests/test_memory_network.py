"""Memory networks: plain loops over sentences and words, ties, linear start, noise, mistakes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets import memory_network
from nets.memory_network import MemN2N, MemoryNetwork, position_weights

V, D, S, J = 7, 4, 3, 3
STORY = np.array([[[2, 3, 0], [4, 5, 6], [0, 0, 0]], [[3, 0, 0], [2, 2, 4], [6, 5, 0]]], np.int32)
QUESTION = np.array([[2, 6, 0], [5, 3, 4]], np.int32)
MODEL = MemN2N(V, D, hops=2, max_memories=5)


@functools.cache
def made(model):
    init = jax.jit(functools.partial(model.init, train=False))
    params = init(jax.random.key(0), STORY, QUESTION)["params"]
    return jax.tree.map(lambda a: 5 * a, params)


def run(model, *arrays, **options):
    apply = functools.partial(model.apply, train=False, **options)
    return jax.jit(apply)({"params": made(model)}, STORY, QUESTION, *arrays)


def encoded(words, table, bag=False):
    """A sentence, word by word and feature by feature (section 4.1)."""
    words = [word for word in words if word]
    total = np.zeros(D)
    for j, word in enumerate(words, 1):
        for k in range(1, D + 1):
            weight = 2 * (1 - j / J) - 2 * (k / D) * (1 - 2 * j / J)
            total[k - 1] += (1 if bag else weight) * table[word, k - 1]
    return total


def answer(model, params, row, linear=False):
    """Logits and weights of one question, hop by hop."""
    p = jax.tree.map(np.asarray, params)
    encode = functools.partial(encoded, bag=model.encoding == "bag")
    sentences = [words for words in STORY[row] if words.any()]
    adjacent, weights = model.tying == "adjacent", []
    asked = p["embedding"][0] if adjacent else p["question"][0]
    u = encode(QUESTION[row], asked)
    for hop in range(model.hops):
        a, c = (hop, hop + 1) if adjacent else (0, 1)
        memories = [
            [
                encode(words, p["embedding"][k]) + p["age"][k][len(sentences) - 1 - i]
                for i, words in enumerate(sentences)
            ]
            for k in (a, c)
        ]
        scores = np.array([u @ m for m in memories[0]])
        empty = model.max_memories - len(sentences)
        share = scores if linear else np.exp(scores) / (np.exp(scores).sum() + empty)
        o = sum(s * c for s, c in zip(share, memories[1], strict=True))
        u = (u if adjacent else p["between"][0] @ u) + o
        weights.append(share)
    out = p["embedding"][-1] if adjacent else p["answer"][0]
    return out @ u, np.stack(weights)


@pytest.mark.parametrize(
    ("fields", "linear"),
    [({}, False), ({}, True), ({"tying": "layerwise", "encoding": "bag", "hops": 3}, False)],
)
def test_an_answer_is_that_of_the_plain_loops(fields, linear):
    model = MODEL.clone(**fields)
    logits, stages = run(model, linear=linear, stages=True)
    for row in range(2):
        expected, weights = answer(model, made(model), row, linear)
        np.testing.assert_allclose(logits[row], expected, rtol=2e-4, atol=1e-4)
        count = weights.shape[1]
        np.testing.assert_allclose(stages["hops"][row, :, :count], weights, rtol=2e-4, atol=1e-5)
        assert not stages["hops"][row, :, count:].any()


def test_without_empty_slots_the_weights_sum_to_one():
    """The second story has as many sentences as there are slots, the first one fewer."""
    _, stages = run(MODEL.clone(max_memories=S), stages=True)
    np.testing.assert_allclose(stages["hops"][1].sum(-1), 1, rtol=1e-6)
    assert (stages["hops"][0].sum(-1) < 0.999).all()


def test_scores_of_any_size_give_finite_gradients():
    """exp(200) is not finite in float32; a story without words is all empty slots."""
    mask = jnp.array([[True, True, False], [False] * 3])
    scores = jnp.array([[-200.0, 200.0, 0.0], [0.0] * 3])
    gradient = jax.jacobian(lambda s: memory_network._weights(s, mask, 5))(scores)
    assert jnp.isfinite(gradient).all()
    np.testing.assert_allclose(
        memory_network._weights(scores, mask, 5), [[0, 1, 0], [0, 0, 0]], atol=1e-6
    )


def test_scores_far_below_zero_of_a_full_memory_give_a_softmax():
    """exp(-200) is zero in float32; there is no empty slot with a score of 0 beside."""
    scores, mask = jnp.array([[-200.0, -201.0, -200.0]]), jnp.ones((1, 3), bool)
    weights, back = jax.vjp(lambda s: memory_network._weights(s, mask, 3), scores)
    expected = np.exp([0, -1, 0]) / np.exp([0, -1, 0]).sum()
    np.testing.assert_allclose(weights[0], expected, rtol=1e-5)
    (slope,) = back(jnp.array([[1.0, 0, 0]]))
    np.testing.assert_allclose(slope[0], expected[0] * (np.eye(3)[0] - expected), rtol=1e-4)


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({}, 3 * (V + 5) * D),
        ({"hops": 3}, 4 * (V + 5) * D),
        ({"tying": "layerwise", "hops": 3}, 2 * (V + 5) * D + 2 * V * D + D * D),
    ],
)
def test_ties_leave_so_many_parameters(fields, count):
    model = MODEL.clone(**fields)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), STORY, QUESTION, train=False))
    assert sum(a.size for a in jax.tree.leaves(shapes)) == count


def test_weights_by_position_are_twice_those_of_the_paper():
    weights = position_weights(jnp.array([4, 2, 3, 0, 0]), D)
    for j in range(1, 6):
        for k in range(1, D + 1):
            published = (1 - j / 5) - (k / D) * (1 - 2 * j / 5) if j <= 3 else 0
            assert float(weights[j - 1, k - 1]) == pytest.approx(2 * published, abs=1e-6)


def test_noise_moves_sentences_away_in_training_alone_and_keeps_their_order():
    model = MODEL.clone(noise=0.5, max_memories=20)
    mask = jnp.ones((20_000, 4), bool)

    def ages(key, train):
        return model.apply({}, mask, train, method="_ages", rngs={"dropout": key})

    assert ages(jax.random.key(0), False)[0].tolist() == [3, 2, 1, 0]
    moved = np.asarray(ages(jax.random.key(0), True))
    assert (np.diff(moved, axis=1) < 0).all() and (moved >= [3, 2, 1, 0]).all()
    empty = (moved > [3, 2, 1, 0]).mean(0)  # none; one of five places; two of six
    np.testing.assert_allclose(empty, np.array([26, 21, 15, 8]) / 45, atol=0.01)
    assert moved.max() == 5
    fewer = model.clone(noise=0.1).apply(
        {}, mask, True, method="_ages", rngs={"dropout": jax.random.key(0)}
    )
    empty = (np.asarray(fewer) > [3, 2, 1, 0]).mean(0)  # none or one
    np.testing.assert_allclose(empty, np.array([4, 3, 2, 1]) / 5 / 2, atol=0.01)


def test_a_sentence_without_words_is_no_memory_wherever_it_stands():
    mask = jnp.array([[True, False, True, True, False], [False, True, True, True, False]])
    ages = MODEL.apply({}, mask, False, method="_ages")
    assert ages[mask].reshape(2, 3).tolist() == [[2, 1, 0]] * 2
    full, question = jnp.asarray(STORY[1:, :3]), jnp.asarray(QUESTION[1:])
    for model in (MODEL, MemoryNetwork(V, D, hops=2, max_memories=5)):
        params = {"params": made(model)}
        apply = jax.jit(functools.partial(model.apply, train=False))
        stories = full, jnp.insert(full, 1, 0, axis=1)
        logits = [jax.tree.leaves(apply(params, story, question))[0] for story in stories]
        np.testing.assert_allclose(*logits, rtol=1e-5, atol=1e-5)


def test_noise_of_a_long_story_is_the_authors_and_stays_within_the_slots():
    """20 sentences and noise of 0.2: 0 to 4 empty memories among as many places; 21 slots."""
    model = MODEL.clone(noise=0.2, max_memories=21)
    mask = jnp.arange(25)[None] < jnp.array([[20], [3]]).repeat(2000, 1).reshape(-1, 1)
    key = jax.random.key(2)
    ages = np.asarray(model.apply({}, mask, True, method="_ages", rngs={"dropout": key}))
    rng, drawn = np.random.default_rng(0), []
    for _ in range(2000):
        places = 20 + rng.integers(5)
        drawn.append(np.sort(rng.permutation(places)[:20])[::-1])
    expected = np.minimum(drawn, 20)
    np.testing.assert_allclose(ages[:2000, :20].mean(0), expected.mean(0), atol=0.12)
    np.testing.assert_allclose(ages[:2000, :20].std(0), expected.std(0), atol=0.12)
    empty = (ages[2000:, :3] > [2, 1, 0]).mean(0)  # none, or one of four places
    np.testing.assert_allclose(empty, np.array([3, 2, 1]) / 4 / 2, atol=0.04)


def chosen(params, row, support=None):
    """Scores of answers and of memories of one question, choice by choice."""
    p = jax.tree.map(np.asarray, params)
    sentences = [words for words in STORY[row] if words.any()]
    kinds = [
        [
            encoded(words, p["embedding"][k]) + p["age"][k][len(sentences) - 1 - i]
            for i, words in enumerate(sentences)
        ]
        for k in range(3)
    ]
    offered = [*kinds[0], p["none"]]
    state, response = (encoded(QUESTION[row], p["embedding"][k]) for k in (3, 4))
    scores, done = [], False
    for hop in range(2):
        scores.append(np.array([state @ m for m in offered]))
        best = int(scores[-1].argmax()) if support is None else support[hop]
        done = done or best in (-1, len(sentences))
        if not done:
            state, response = state + kinds[1][best], response + kinds[2][best]
    return p["embedding"][5] @ response, scores


@pytest.mark.parametrize("support", [None, [[1, 0], [2, -1]]])
def test_a_strongly_supervised_network_is_the_plain_loops(support):
    model = MemoryNetwork(V, D, hops=2, max_memories=5)
    told = None if support is None else jnp.array(support)
    answers, scores = run(model, told)
    for row in range(2):
        expected, hops = chosen(made(model), row, None if support is None else support[row])
        np.testing.assert_allclose(answers[row], expected, rtol=2e-4, atol=1e-4)
        count = len(hops[0]) - 1
        for hop in range(2):
            got = np.asarray(scores[row, hop])
            np.testing.assert_allclose(got[:count], hops[hop][:-1], rtol=2e-4, atol=1e-4)
            np.testing.assert_allclose(got[S], hops[hop][-1], rtol=2e-4, atol=1e-4)
            assert np.isneginf(got[count:S]).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_memories": 2}, "a story must have at most max_memories=2 sentences, got 3"),
        ({"hops": 0}, "hops must be at least 1, got 0"),
        ({"tying": "none"}, "tying must be one of adjacent, layerwise, got 'none'"),
        ({"noise": 1.0}, r"noise must be in \[0, 1\), got 1.0"),
        ({"vocab_size": None}, "vocab_size must be at least 1, got None"),
        ({"features": 0}, "features must be at least 1, got 0"),
        ({"max_memories": 0}, "max_memories must be at least 1, got 0"),
        ({"max_memories": None}, "max_memories must be at least 1, got None"),
    ],
)
def test_mistakes_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        model = MODEL.clone(**fields)
        jax.eval_shape(lambda: model.init(jax.random.key(0), STORY, QUESTION, train=False))


@pytest.mark.parametrize("model", [MODEL, MemoryNetwork(9, 4, max_memories=5)])
def test_each_story_has_its_question(model):
    with pytest.raises(ValueError, match=r"must be \[B, S, J\] and \[B, J\], got shapes"):
        jax.eval_shape(
            lambda: model.init(jax.random.key(0), STORY, QUESTION[:1].repeat(9, 0), train=False)
        )
