"""Memory networks: sentences as memories, and an answer in several hops over them."""

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import ArrayLike, DTypeLike

from nets.layers.checks import check_at_least, check_choice, check_probability
from nets.layers.precision import at_least_float32

Tying = Literal["adjacent", "layerwise"]
Encoding = Literal["position", "bag"]


class MemN2N(nn.Module):
    """End-to-end memory network (Sukhbaatar et al. 2015), for one question about a story.

        m_i = sum_j l_j * A^k x_ij + T_A^k(i),  c_i = sum_j l_j * C^k x_ij + T_C^k(i)
        p_i = exp(u^k . m_i) / (sum_i exp(u^k . m_i) + e),  o = sum_i p_i c_i
        u^{k+1} = u^k + o,  a = softmax(W u^{K+1})

    x_ij is word j of sentence i, and u^1 the question, encoded by B as a sentence is. l_j is 1 (a
    bag of words) or that of `position_weights`. T(i) is the embedding of how many sentences ago i
    was. e is the number of empty slots, of `max_memories`: as in the authors' program they take
    part with a score of 0, so that a hop may look at nothing. Tied "adjacent", A^{k+1} = C^k,
    T_A^{k+1} = T_C^k, B = A^1 and W^T = C^K; "layerwise", A and C are those of every hop and
    u^{k+1} = H u^k + o. All are initialised normal with deviation 0.1.

    While training, empty memories among the n sentences move those before them further away
    ("random noise" in the paper). As in the authors' program there are 0 to ceil(`noise` n), any
    number as probable as another: with 0.1 none or one of up to 10 sentences, 0 to 5 of 50.

    >>> model = MemN2N(vocab_size=9, max_memories=5, hops=2)
    >>> words = jnp.ones((2, 4, 3), int), jnp.ones((2, 3), int)
    >>> init = lambda: model.init_with_output(jax.random.key(0), *words, train=False)
    >>> jax.eval_shape(init)[0].shape
    (2, 9)

    Attributes:
        vocab_size: number of words V. None means that the data fills it in.
        features: size d of an embedding.
        hops: number of hops K.
        tying: adjacent or layerwise.
        encoding: position or bag.
        max_memories: sentences of a story at most. None means that the data fills it in.
        noise: empty memories while training, as a share of the sentences.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    vocab_size: int | None = None
    features: int = 20
    hops: int = 3
    tying: Tying = "adjacent"
    encoding: Encoding = "position"
    max_memories: int | None = None
    noise: float = 0.1
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        story: jax.Array,
        question: jax.Array,
        *,
        linear: ArrayLike = False,
        train: bool,
        stages: bool = False,
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Logits [B, V], float32 at least, of the answers.

        Args:
            story: words [B, S, J] (int) of sentences in their order; 0 is no word, and a sentence
                without words no memory.
            question: words [B, J] (int).
            linear: whether the softmax over memories is left out ("linear start").
            train: whether empty memories are put in; needs the key `dropout` then.
            stages: whether a dict with "hops" [B, K, S], the weights of each hop, is returned too.

        Raises:
            ValueError: a field is out of its range, or there are more than `max_memories`
                sentences.
        """
        check_choice("tying", self.tying, Tying)
        check_choice("encoding", self.encoding, Encoding)
        check_probability("noise", self.noise)
        _check_story(self, story, question)
        adjacent, d = self.tying == "adjacent", self.features
        tables = self.hops + 1 if adjacent else 2
        words = _matrices(self, "embedding", tables, self.vocab_size)
        ages = _matrices(self, "age", tables, self.max_memories)
        mask = (story > 0).any(-1)  # [B, S]
        age = self._ages(mask, train)
        memories = _encode(self, story, words) + jnp.einsum(
            "bsm,nmd->bsnd", jax.nn.one_hot(age, self.max_memories, dtype=self.dtype), ages
        )
        if adjacent:
            asked, out, between = words[:1], words[-1], None
        else:
            asked = _matrices(self, "question", 1, self.vocab_size)
            out = _matrices(self, "answer", 1, self.vocab_size)[0]
            between = _matrices(self, "between", 1, d)[0]
        u, weights = _encode(self, question, asked)[:, 0], []
        for hop in range(self.hops):
            m, c = (memories[:, :, (hop if adjacent else 0) + k] for k in (0, 1))
            scores = jnp.einsum("bd,bsd->bs", u, m)
            p = _weights(scores, mask, self.max_memories)
            p = jnp.where(jnp.asarray(linear), jnp.where(mask, scores, 0).astype(p.dtype), p)
            o = jnp.einsum("bs,bsd->bd", p.astype(self.dtype), c)
            u = (u if between is None else u @ between.T) + o
            weights.append(p)
        wide = jnp.promote_types(self.dtype, jnp.float32)
        logits = u.astype(wide) @ out.astype(wide).T
        return (logits, {"hops": jnp.stack(weights, 1)}) if stages else logits

    def _ages(self, mask: jax.Array, train: bool) -> jax.Array:
        """How many memories ago each sentence was, [B, S]; 0 is the last."""
        after = _later(mask)
        if train and self.noise:
            (rows, slots), count = mask.shape, mask.sum(1, keepdims=True)
            many, where = jax.random.split(self.make_rng("dropout"))
            most = jnp.ceil(self.noise * count).astype(int)
            places = count + jax.random.randint(many, (rows, 1), 0, most + 1)
            order = jax.random.uniform(where, (rows, slots + math.ceil(self.noise * slots)))
            order = jnp.where(jnp.arange(order.shape[1])[None] < places, order, 2)
            taken = order.argsort(1)[:, :slots]  # places of the sentences, counted from the last
            taken = jnp.where(jnp.arange(slots)[None] < count, taken, order.shape[1])
            after = jnp.take_along_axis(jnp.sort(taken, axis=1), after, axis=1)
        return jnp.clip(after, 0, self.max_memories - 1)


class MemoryNetwork(nn.Module):
    """Strongly supervised memory network (Weston et al. 2014): told which sentences to look at.

        o_k = argmax_i s_O(question, m_{o_1}, ..., m_{o_{k-1}}; m_i),  k = 1 .. K
        answer = argmax_w s_R(question, m_{o_1}, ..., m_{o_K}; w)
        s(x_1, ..., x_n; y) = (U_1 x_1 + ... + U_n x_n) . V y

    Questions, memories that were chosen, memories to choose from, and words have an embedding of
    their own each (the paper's D = 3 |W| features), sentences encoded as in `MemN2N`, with an
    embedding of how many sentences ago they were instead of the paper's comparison of two times.
    One memory to choose from is none; after it nothing is added.

    >>> model = MemoryNetwork(vocab_size=9, max_memories=5, hops=2)
    >>> words = jnp.ones((2, 4, 3), int), jnp.ones((2, 3), int)
    >>> init = lambda: model.init_with_output(jax.random.key(0), *words, train=False)
    >>> [a.shape for a in jax.eval_shape(init)[0]]
    [(2, 9), (2, 2, 5)]

    Attributes:
        vocab_size: number of words V. None means that the data fills it in.
        features: size d of an embedding.
        hops: sentences K that are looked at, at most.
        encoding: position or bag.
        max_memories: sentences of a story at most. None means that the data fills it in.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    vocab_size: int | None = None
    features: int = 50
    hops: int = 3
    encoding: Encoding = "position"
    max_memories: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        story: jax.Array,
        question: jax.Array,
        support: jax.Array | None = None,
        *,
        train: bool,
    ) -> tuple[jax.Array, jax.Array]:
        """Scores [B, V] of answers, and [B, K, S + 1] of memories; the last, S, is none.

        Scores of what is no memory are -inf. Nothing is random in training.

        Args:
            story: words [B, S, J] (int), as those of `MemN2N`.
            question: words [B, J] (int).
            support: [B, K] (int), the sentences to look at, then -1; None means those of the
                highest scores.
            train: makes no difference.

        Raises:
            ValueError: as of `MemN2N`.
        """
        check_choice("encoding", self.encoding, Encoding)
        _check_story(self, story, question)
        words = _matrices(self, "embedding", 6, self.vocab_size)
        ages = _matrices(self, "age", 3, self.max_memories)
        none = self.param("none", nn.initializers.normal(0.1), (self.features,), self.param_dtype)
        answers = words[5]
        mask = (story > 0).any(-1)
        age = jax.nn.one_hot(_later(mask), self.max_memories, dtype=self.dtype)
        memories = _encode(self, story, words[:3]) + jnp.einsum("bsm,nmd->bsnd", age, ages)
        asked = _encode(self, question, words[3:5])
        rows, empty = len(story), jnp.zeros((len(story), 1, self.features), self.dtype)
        last = jnp.broadcast_to(none.astype(self.dtype), empty.shape)
        offered = jnp.concatenate([memories[:, :, 0], last], axis=1)  # [B, S + 1, d]
        chosen, told = (jnp.concatenate([memories[:, :, k], empty], axis=1) for k in (1, 2))
        allowed = jnp.concatenate([mask, jnp.ones((rows, 1), bool)], axis=1)
        state, response, scores = asked[:, 0], asked[:, 1], []
        wide, stopped = jnp.promote_types(self.dtype, jnp.float32), jnp.zeros(rows, bool)
        for hop in range(self.hops):
            score = jnp.einsum("bd,bsd->bs", state, offered).astype(wide)
            score = jnp.where(allowed, score, -jnp.inf)
            scores.append(score)
            best = score.argmax(-1) if support is None else support[:, hop]
            stopped = stopped | (best < 0) | (best == mask.shape[1])
            best = jnp.where(stopped, mask.shape[1], best)[:, None, None]
            state = state + jnp.take_along_axis(chosen, best, axis=1)[:, 0]
            response = response + jnp.take_along_axis(told, best, axis=1)[:, 0]
        return response.astype(wide) @ answers.astype(wide).T, jnp.stack(scores, axis=1)


def _later(mask: jax.Array) -> jax.Array:
    """How many memories come after each, [B, S], where the mask [B, S] says which there are."""
    return jnp.clip(jnp.cumsum(mask[:, ::-1], axis=1)[:, ::-1] - 1, 0)


def _weights(scores: jax.Array, mask: jax.Array, slots: int) -> jax.Array:
    """Softmax [B, S] of scores [B, S], and of 0 for each of the empty slots, left out."""
    scores = at_least_float32(scores)
    count = mask.sum(1, keepdims=True)
    top = jnp.max(scores, axis=1, keepdims=True, initial=-jnp.inf, where=mask)
    top = jax.lax.stop_gradient(jnp.where(count < slots, jnp.maximum(top, 0), top))
    powers = jnp.where(mask, jnp.exp(jnp.where(mask, scores - top, 0)), 0)
    empty = (slots - count) * jnp.exp(-jnp.maximum(top, 0))
    return powers / (powers.sum(1, keepdims=True) + empty)


def position_weights(words: jax.Array, features: int) -> jax.Array:
    """Weights l [..., J, d] of the words [..., J] of a sentence (Sukhbaatar et al. 2015, 4.1).

        l_kj = 2 (1 - j / J) - 2 (k / d) (1 - 2 j / J),  j = 1 .. J, k = 1 .. d

    and 0 where there is no word. J is the paper's number of words in a sentence; as in the authors'
    program it is the same for all, so that the place of the last word tells how many there are, and
    words weigh about 1 in the mean, twice as much as in the paper, and as much as an age.

        >>> position_weights(jnp.array([5, 5, 5, 0]), 2).tolist()
        [[1.0, 0.5], [1.0, 1.0], [1.0, 1.5], [0.0, 0.0]]
    """
    first, second = _positions(words)
    share = jnp.arange(1, features + 1) / features
    shape = (1,) * words.ndim + (features,)
    return first[..., None] - share.reshape(shape) * second[..., None]


def _positions(words):
    """2 (1 - j / J) and 2 (1 - 2 j / J) of each word, 0 where there is none."""
    there = words > 0
    shape = (1,) * (words.ndim - 1) + words.shape[-1:]
    j = jnp.arange(1, words.shape[-1] + 1).reshape(shape)
    place = j / words.shape[-1]
    return jnp.where(there, 2 * (1 - place), 0), jnp.where(there, 2 * (1 - 2 * place), 0)


def _encode(model, words, tables):
    """Sentences [..., J] by each of the tables [N, V, d]: [..., N, d].

    The weights of a word are sums of two products of its place and the feature, so that a sentence
    is two bags of words, whatever the number of tables.
    """
    first, second = _positions(words) if model.encoding == "position" else (words > 0, None)
    symbols = jax.nn.one_hot(words, model.vocab_size, dtype=model.dtype)  # [..., J, V]

    def bag(weights):
        bags = jnp.einsum("...j,...jv->...v", weights.astype(model.dtype), symbols)
        return jnp.einsum("...v,nvd->...nd", bags, tables)

    if second is None:
        return bag(first)
    share = np.arange(1, model.features + 1, dtype=np.float32) / model.features
    share = jnp.asarray(share, model.dtype).reshape((1,) * words.ndim + (-1,))
    return bag(first) - share * bag(second)


def _matrices(model, name, count, size):
    shape = count, size, model.features
    table = model.param(name, nn.initializers.normal(0.1), shape, model.param_dtype)
    return table.astype(model.dtype)


def _check_story(model, story, question):
    for field in ("vocab_size", "features", "hops", "max_memories"):
        check_at_least(field, getattr(model, field), 1)
    if story.ndim != 3 or question.ndim != 2 or len(story) != len(question):
        raise ValueError(
            f"story and question must be [B, S, J] and [B, J], got shapes {list(story.shape)} and "
            f"{list(question.shape)}"
        )
    if story.shape[1] > model.max_memories:
        raise ValueError(
            f"a story must have at most max_memories={model.max_memories} sentences, got "
            f"{story.shape[1]}"
        )
