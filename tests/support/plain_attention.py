"""Attention in plain NumPy, one row, query and key at a time, in float64."""

import jax
import numpy as np

BATCH, QUERIES, KEYS = 3, 4, 5
LENGTHS = np.array([5, 3, 1])
MASK = np.arange(KEYS)[None] < LENGTHS[:, None]


def dense(rng, inputs, features):
    return {"kernel": rng.normal(size=(inputs, features))}


def random_inputs(rng, query, key, value=2):
    """query [B, Q, query], memory [B, K, key], values [B, K, value]."""
    return (
        rng.normal(size=(BATCH, QUERIES, query)),
        rng.normal(size=(BATCH, KEYS, key)),
        rng.normal(size=(BATCH, KEYS, value)),
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def scores_of(score, query, memory):
    """score(query [Dq], key [Dk]) for each, [B, Q, K]."""
    result = np.zeros((BATCH, query.shape[1], KEYS))
    for b, q, k in np.ndindex(*result.shape):
        result[b, q, k] = score(query[b, q], memory[b, k])
    return result


def softmax(scores, keys):
    """Weights [K] of scores [K] over some of the keys."""
    weights, total = np.zeros(len(scores)), sum(np.exp(scores[k]) for k in keys)
    for k in keys:
        weights[k] = np.exp(scores[k]) / total
    return weights


def weights_of(scores, mask=MASK):
    result = np.zeros_like(scores)
    for b, q in np.ndindex(*scores.shape[:2]):
        result[b, q] = softmax(scores[b, q], np.flatnonzero(mask[b]))
    return result


def contexts_of(weights, values):
    result = np.zeros((*weights.shape[:2], values.shape[-1]))
    for b, q, k in np.ndindex(*weights.shape):
        result[b, q] += weights[b, q, k] * values[b, k]
    return result


def whole(model, params, query, memory, values, *arguments, **keywords):
    """The model applied to all queries, the memory projected first, in float64."""

    def run(model, query, memory, values):
        return model(query, model.project(memory), values, *arguments, **keywords)

    with jax.enable_x64(True):
        got = model.apply({"params": params}, query, memory, values, method=run)
    return jax.tree.map(np.asarray, got)
