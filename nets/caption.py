"""Captions of images: a backbone sees, an LSTM writes.

Vinyals et al., Show and Tell: A Neural Image Caption Generator, CVPR 2015. Xu et al., Show, Attend
and Tell: Neural Image Caption Generation with Visual Attention, ICML 2015.

The backbone is any image network here with `num_classes=0`. Words are symbols below `vocab_size`;
0 ends a caption and stands before its first word. An image may have several captions, [B, C, U],
and is seen once for all of them. `nets.layers.decoding.decode` writes with `start` and `step`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from nets.layers.attention import attend, weighted_sum
from nets.layers.attention_hard import sample_key
from nets.layers.attention_scores import Additive
from nets.layers.checks import check_probability
from nets.layers.linear import dense
from nets.layers.recurrent import Recurrent
from nets.layers.sequence import output_layer, shift_right
from nets.lstm import LSTM, LSTMCarry

Stages = dict[str, jax.Array]


class ShowAndTell(nn.Module):
    """An image is the first word of its caption (Vinyals et al. 2015, equations 10 to 12).

        x_{-1} = W_i CNN(image)
        x_t = W_e y_t,    y_0 = 0
        logits of y_{t+1} = V LSTM(x_{-1}, x_0 .. x_t) + b

    Dropout acts on what goes into the LSTM and on its outputs.

    Attributes:
        backbone: the network that sees; it computes in its own `dtype`.
        stage: the stage of it, [B, D], that is read.
        features: units of the LSTM.
        embedding: size of x.
        dropout: probability of dropping a unit while training.
        frozen: whether the backbone stays as it is: no gradient passes to it, and its
            normalisations are those of evaluation. Weight decay, where there is any, still acts.
        vocab_size: number of symbols. None: to be filled in from the data.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    backbone: nn.Module
    stage: str = "features"
    features: int = 512
    embedding: int = 512
    dropout: float = 0.0
    frozen: bool = False
    vocab_size: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self):
        _check(self)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        self.image = nn.Dense(self.embedding, **dtypes)
        self.embed = nn.Embed(self.vocab_size, self.embedding, **dtypes)
        self.decoder = Recurrent(LSTM(self.features), **dtypes)
        self.output = output_layer(self, self.vocab_size)
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self, images: jax.Array, captions: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, Stages]:
        """Logits [B, ..., U, vocab_size], float32 at least, of captions [B, ..., U] (int).

        Each word is given those before it (teacher forcing). There are no stages, {}. Needs the key
        `dropout` while training, if there is any.

        Raises:
            ValueError: the backbone has no such stage, or refuses the images; `vocab_size` is None;
                `dropout` is no probability.
        """
        (_, carry), before = self.start(images, train=train), _before(images, captions)
        carry = _repeated(carry, len(before) // len(images))
        x = self.drop(self.embed(before), deterministic=not train)
        h, _ = self.decoder(x, carry)
        y = self.output(self.drop(h, deterministic=not train))
        y = y.reshape(*captions.shape, -1)
        return (y, {}) if stages else y

    def start(self, images: jax.Array, *, train: bool = False) -> tuple[tuple, Any]:
        """No memory, and the carry before the first word of each image."""
        seen = _stage(self, images, train, rank=2)
        x = self.drop(self.image(seen), deterministic=not train)
        return (), self.decoder(x[:, None])[1]

    def step(self, memory: tuple, carry: Any, symbols: jax.Array) -> tuple[Any, jax.Array, Any]:
        """The next carry, logits [N, vocab_size] and no weights, [N, 0], after symbols [N]."""
        carry, h = self.decoder.step(carry, self.embed(symbols))
        return carry, self.output(h), jnp.zeros((len(symbols), 0))


class Memory(NamedTuple):
    """What is looked at: values a [B, K, D] of K places, and their keys [B, K, A]."""

    values: jax.Array
    keys: jax.Array


class StepOutput(NamedTuple):
    """What a step saw, on its way to the word.

    Attributes:
        h: [N, H].
        context: z, [N, D].
        weights: alpha, [N, K].
        log_probability: [N], of where hard attention looked while training; otherwise none.
        entropy: [N], likewise.
    """

    h: jax.Array
    context: jax.Array
    weights: jax.Array
    log_probability: jax.Array | None = None
    entropy: jax.Array | None = None


class ShowAttendTell(nn.Module):
    """An LSTM that looks at places of the image as it writes (Xu et al. 2015).

        c_0, h_0 = tanh(mean_k(a_k) W_c + b_c), tanh(mean_k(a_k) W_h + b_h)    (section 3.1.2)
        alpha_t = softmax_k(v^T tanh(W h_{t-1} + U a_k + b))                   (equations 4 and 5)
        z_t = sigmoid(f(h_{t-1})) sum_k alpha_tk a_k                           (section 4.2.1)
        c_t, h_t = LSTM([E y_{t-1}, z_t], c_{t-1}, h_{t-1}),    y_0 = 0        (equations 1 to 3)
        logits of y_t = L_o (E y_{t-1} + L_h h_t + L_z z_t) + b_o              (equation 7)

    The places a [B, K, D] are those of a spatial stage [B, H, W, D] of the backbone, row by row; f
    is linear and gives one number. U a, once for an image, the part of E y in the gates, and the
    logits are computed for all words at once, outside the scan. Dropout acts on what L_o is
    multiplied with.

    Hard attention looks at one place, drawn by alpha while training (section 4.1; the task has to
    add the gradient by REINFORCE), the likeliest one in evaluation.

    Attributes:
        backbone: the network that sees; it computes in its own `dtype`.
        stage: the spatial stage of it that is looked at.
        features: units of the LSTM.
        embedding: size of E y.
        hidden: size A of the additive score.
        hard: whether it looks at one place instead of a mean of all.
        coordinates: whether two channels say where a place is, from -1, top and left, to 1 (Liu et
            al. 2018); what a backbone of small receptive fields sees does not tell.
        dropout: probability of dropping a unit while training.
        frozen: whether the backbone stays as it is: no gradient passes to it, and its
            normalisations are those of evaluation. Weight decay, where there is any, still acts.
        vocab_size: number of symbols. None: to be filled in from the data.
        dtype: what it computes in.
        param_dtype: what it stores, the carry too.
    """

    backbone: nn.Module
    stage: str
    features: int = 512
    embedding: int = 512
    hidden: int = 512
    hard: bool = False
    coordinates: bool = False
    dropout: float = 0.0
    frozen: bool = False
    vocab_size: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self):
        _check(self)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        self.initial_c, self.initial_h = (nn.Dense(self.features, **dtypes) for _ in range(2))
        self.score = Additive(self.hidden, use_bias=True, **dtypes)
        self.gate = nn.Dense(1, **dtypes)
        self.embed = nn.Embed(self.vocab_size, self.embedding, **dtypes)
        self.cell = LSTM(self.features)
        self.state_out, self.context_out = (
            dense(self.embedding, **dtypes, use_bias=False) for _ in range(2)
        )
        self.output = output_layer(self, self.vocab_size)
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self, images: jax.Array, captions: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, Stages]:
        """Logits [B, ..., U, vocab_size], float32 at least, of captions [B, ..., U] (int).

        Each word is given those before it (teacher forcing). Stages: weights [B, ..., U, K], alpha;
        for hard attention while training also log_probability and entropy [B, ..., U], in nats.
        While training it needs the key `dropout`, if there is any, and hard attention the key
        `attention`.

        Raises:
            ValueError: the backbone has no such spatial stage, or refuses the images; `vocab_size`
                is None; `dropout` is no probability.
        """
        (memory, carry), before = self.start(images, train=train), _before(images, captions)
        carry = _repeated(carry, len(before) // len(images))
        embedded = self.embed(before)  # [N, U, E]
        weights = self._weights(memory)

        def advance(model, carry, x):
            return model._advance(weights, memory, carry, x, train)

        scan = nn.scan(
            advance,
            variable_broadcast="params",
            split_rngs={"params": False, "attention": True},
            in_axes=1,
            out_axes=1,
        )
        _, seen = scan(self, carry, self._words(weights, embedded))
        y = self._answer(embedded, seen, train).reshape(*captions.shape, -1)
        if not stages:
            return y
        named = {k: getattr(seen, k) for k in ("weights", "log_probability", "entropy")}
        shape = captions.shape
        return y, {k: a.reshape(*shape, *a.shape[2:]) for k, a in named.items() if a is not None}

    def start(self, images: jax.Array, *, train: bool = False) -> tuple[Memory, LSTMCarry]:
        """The places of each image, and the carry before its first word."""
        maps = jnp.asarray(_stage(self, images, train, rank=4), self.dtype)
        if self.coordinates:
            maps = jnp.concatenate([maps, _coordinates(maps)], axis=-1)
        values = maps.reshape(len(maps), -1, maps.shape[-1])
        mean = values.mean(1)
        carry = LSTMCarry(nn.tanh(self.initial_c(mean)), nn.tanh(self.initial_h(mean)))
        carry = jax.tree.map(lambda a: a.astype(self.param_dtype), carry)
        return Memory(values, self.score.project(values)), carry

    def step(
        self, memory: Memory, carry: LSTMCarry, symbols: jax.Array
    ) -> tuple[LSTMCarry, jax.Array, jax.Array]:
        """The next carry, logits [N, vocab_size] and weights [N, K], after symbols [N].

        N is a multiple of B: rows of an image are neighbours.
        """
        embedded, weights = self.embed(symbols), self._weights(memory)
        carry, seen = self._advance(weights, memory, carry, self._words(weights, embedded), False)
        return carry, self._answer(embedded, seen, False), seen.weights

    def _advance(
        self, weights: dict, memory: Memory, carry: LSTMCarry, x: jax.Array, train: bool
    ) -> tuple[LSTMCarry, StepOutput]:
        """One step from the embedded word's part of the gates, x [N, 4H]."""
        rows = len(memory.values)
        h = carry.h.astype(self.dtype)
        scores = self.score(h.reshape(rows, -1, self.features), memory.keys)  # [B, C, K]
        drawn = {}
        if self.hard and train:
            sample = sample_key(self.make_rng("attention"), scores)
            alpha, context = sample.weights, weighted_sum(sample.weights, memory.values)
            drawn = {k: a.reshape(-1) for k, a in sample._asdict().items() if k != "weights"}
        elif self.hard:
            alpha = jax.nn.one_hot(scores.argmax(-1), scores.shape[-1], dtype=scores.dtype)
            context = weighted_sum(alpha, memory.values)
        else:
            context, alpha = attend(scores, memory.values)
        alpha, context = (a.reshape(-1, a.shape[-1]) for a in (alpha, context))
        context = nn.sigmoid(self.gate(h)) * context
        new = self.cell.update(weights, carry, x + context @ weights["kernel"][self.embedding :])
        new = jax.tree.map(lambda n, o: n.astype(o.dtype), new, carry)
        return new, StepOutput(new.h.astype(self.dtype), context, alpha, **drawn)

    def _words(self, weights: dict, embedded: jax.Array) -> jax.Array:
        """The part of embedded words [..., E] in the gates, [..., 4H]."""
        kernel = {"kernel": weights["kernel"][: self.embedding]}
        return self.cell.project(weights | kernel, embedded)

    def _answer(self, embedded: jax.Array, seen: StepOutput, train: bool) -> jax.Array:
        """Logits [..., vocab_size]."""
        x = embedded + self.state_out(seen.h) + self.context_out(seen.context)
        return self.output(self.drop(x, deterministic=not train))

    def _weights(self, memory: Memory) -> dict[str, jax.Array]:
        """Those of the LSTM, as they are computed with; the first rows of its kernel are E y's."""
        rows, _, width = memory.values.shape
        found = self.cell.weights((rows, self.embedding + width), self.param_dtype)
        return {k: a.astype(self.dtype) for k, a in found.items()}


def _check(model: nn.Module) -> None:
    name = type(model).__name__
    if model.vocab_size is None or model.vocab_size < 2:
        raise ValueError(f"{name}.vocab_size is {model.vocab_size}: 2 is the least, with the end")
    check_probability(f"{name}.dropout", model.dropout)


def _stage(model: nn.Module, images: jax.Array, train: bool, rank: int) -> jax.Array:
    """The stage that a captioner reads, of that rank."""
    _, stages = model.backbone(images, train=train and not model.frozen, stages=True)
    valid = [name for name, a in stages.items() if a.ndim == rank]
    if model.stage not in valid:
        shape = "[B, D]" if rank == 2 else "[B, H, W, D]"
        raise ValueError(
            f"{type(model).__name__}.stage={model.stage!r}: the stages {shape} of "
            f"{type(model.backbone).__name__} are {', '.join(valid) or 'none'}"
        )
    seen = stages[model.stage]
    return lax.stop_gradient(seen) if model.frozen else seen


def _before(images: jax.Array, captions: jax.Array) -> jax.Array:
    """For each word of captions [B, ..., U] the one before it, [N, U].

    Raises:
        ValueError: they are not captions of these images.
    """
    if captions.ndim < 2 or len(captions) != len(images):
        raise ValueError(
            f"captions {captions.shape} do not fit images {images.shape}: [B, U] and [B, C, U] are "
            "valid"
        )
    return shift_right(captions.reshape(-1, captions.shape[-1]))


def _repeated(carry: Any, times: int) -> Any:
    return jax.tree.map(lambda a: jnp.repeat(a, times, axis=0), carry)


def _coordinates(maps: jax.Array) -> jax.Array:
    """Row and column of each place of maps [B, H, W, D], [B, H, W, 2]."""
    rows, columns = (jnp.linspace(-1, 1, n, dtype=maps.dtype) for n in maps.shape[1:3])
    grid = jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"), -1)
    return jnp.broadcast_to(grid, (len(maps), *grid.shape))
