"""Image captioning: a convolutional backbone and an LSTM decoder.

Vinyals et al., Show and Tell: A Neural Image Caption Generator, CVPR 2015. Xu et al., Show, Attend
and Tell: Neural Image Caption Generation with Visual Attention, ICML 2015.

The backbone is any image network here with `num_classes=0`. Words are symbols below `vocab_size`; 0
comes before the first word and ends a caption. An image may have several captions, [B, C, U], and
passes through the backbone once. `nets.layers.decoding.decode` generates captions by the methods
`start` and `step`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.attention import attend, weighted_sum
from nets.layers.attention_hard import sample_key
from nets.layers.attention_scores import Additive
from nets.layers.backbone_stage import backbone_stage, coordinates
from nets.layers.checks import check_probability
from nets.layers.linear import dense
from nets.layers.recurrent import Recurrent
from nets.layers.sequence import output_layer, shift_right
from nets.lstm import LSTM, LSTMCarry

Stages = dict[str, jax.Array]


class ShowAndTell(nn.Module):
    """Show and Tell: the image is the LSTM's first input (Vinyals et al. 2015, equations 10 to 12).

        x_{-1} = W_i CNN(image)
        x_t = W_e y_t,    y_0 = 0
        logits of y_{t+1} = V LSTM(x_{-1}, x_0 .. x_t) + b

    Dropout acts on the inputs and the outputs of the LSTM.

    >>> from nets.convnet import ConvNet
    >>> model = ShowAndTell(ConvNet(num_classes=0), vocab_size=50)
    >>> key, images, words = jax.random.key(0), jnp.zeros((2, 28, 28, 1)), jnp.ones((2, 9), int)
    >>> jax.eval_shape(lambda: model.init_with_output(key, images, words, train=False))[0].shape
    (2, 9, 50)

    Attributes:
        backbone: the image network; it has its own `dtype`.
        stage: the backbone's stage [B, D] that is the image's feature vector.
        features: number of units of the LSTM.
        embedding: size of x.
        dropout: probability of dropping a unit while training.
        vocab_size: number of symbols. None means that the data fills it in.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    backbone: nn.Module
    stage: str = "features"
    features: int = 512
    embedding: int = 512
    dropout: float = 0.0
    vocab_size: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
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

        The logits of a word see the words before it (teacher forcing). The stages are {}. Needs the
        key `dropout` while training if `dropout` is above 0.

        Raises:
            ValueError: the backbone has no such stage, or refuses the images; `vocab_size` is below
                2 or None; `dropout` is not in [0, 1).
        """
        (_, carry), previous = self.start(images, train=train), _previous_words(images, captions)
        carry = _repeat(carry, len(previous) // len(images))
        x = self.drop(self.embed(previous), deterministic=not train)
        h, _ = self.decoder(x, carry)
        y = self.output(self.drop(h, deterministic=not train))
        y = y.reshape(*captions.shape, -1)
        return (y, {}) if stages else y

    def start(self, images: jax.Array, *, train: bool = False) -> tuple[tuple, Any]:
        """An empty memory, and the carry before the first word of each image."""
        vector = backbone_stage(self, images, train, rank=2)
        x = self.drop(self.image(vector), deterministic=not train)
        return (), self.decoder(x[:, None])[1]

    def step(self, memory: tuple, carry: Any, symbols: jax.Array) -> tuple[Any, jax.Array, Any]:
        """The next carry, logits [N, vocab_size] and empty weights [N, 0], after symbols [N]."""
        carry, h = self.decoder.step(carry, self.embed(symbols))
        return carry, self.output(h), jnp.zeros((len(symbols), 0))


class Memory(NamedTuple):
    """Features a [B, K, D] of the K image positions as values, and their keys [B, K, A]."""

    values: jax.Array
    keys: jax.Array


class StepOutput(NamedTuple):
    """Intermediate values of a decoder step.

    Attributes:
        h: [N, H].
        context: z, [N, D].
        weights: alpha, [N, K].
        log_probability: [N], of the position that hard attention sampled while training, else None.
        entropy: [N], likewise.
    """

    h: jax.Array
    context: jax.Array
    weights: jax.Array
    log_probability: jax.Array | None = None
    entropy: jax.Array | None = None


class ShowAttendTell(nn.Module):
    """Show, Attend and Tell: an LSTM that attends to image positions (Xu et al. 2015).

        c_0, h_0 = tanh(mean_k(a_k) W_c + b_c), tanh(mean_k(a_k) W_h + b_h)    (section 3.1.2)
        alpha_t = softmax_k(v^T tanh(W h_{t-1} + U a_k + b))                   (equations 4 and 5)
        z_t = sigmoid(f(h_{t-1})) sum_k alpha_tk a_k                           (section 4.2.1)
        c_t, h_t = LSTM([E y_{t-1}, z_t], c_{t-1}, h_{t-1}),    y_0 = 0        (equations 1 to 3)
        logits of y_t = L_o (E y_{t-1} + L_h h_t + L_z z_t) + b_o              (equation 7)

    a [B, K, D] is a spatial stage [B, H, W, D] of the backbone, flattened row by row; f is linear
    with one output. U a, the gates' part of E y and the logits are computed for all words at once,
    outside the scan. Dropout acts on the input of L_o.

    Hard attention reads one position, sampled from alpha while training (section 4.1; the task adds
    the REINFORCE gradient), the most probable one in evaluation.

    >>> from nets.convnet import ConvNet
    >>> model = ShowAttendTell(ConvNet(num_classes=0), "pool2", vocab_size=50)
    >>> key, images, words = jax.random.key(0), jnp.zeros((2, 28, 28, 1)), jnp.ones((2, 9), int)
    >>> jax.eval_shape(lambda: model.init_with_output(key, images, words, train=False))[0].shape
    (2, 9, 50)

    Attributes:
        backbone: the image network; it has its own `dtype`.
        stage: the backbone's spatial stage [B, H, W, D] that is attended to.
        features: number of units of the LSTM.
        embedding: size of E y.
        hidden: size A of the additive score.
        hard: whether attention reads one position instead of a weighted mean of all.
        coordinates: whether two channels with the row and column of each position, from -1 to 1,
            are added (Liu et al. 2018); useful for a backbone with small receptive fields.
        dropout: probability of dropping a unit while training.
        vocab_size: number of symbols. None means that the data fills it in.
        dtype: computation dtype.
        param_dtype: parameter dtype, and dtype of the carry.
    """

    backbone: nn.Module
    stage: str
    features: int = 512
    embedding: int = 512
    hidden: int = 512
    hard: bool = False
    coordinates: bool = False
    dropout: float = 0.0
    vocab_size: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
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

        The logits of a word see the words before it (teacher forcing). Stages: weights
        [B, ..., U, K], alpha; for hard attention while training also log_probability and entropy
        [B, ..., U], in nats. Needs the key `dropout` while training if `dropout` is above 0, and
        the key `attention` for hard attention.

        Raises:
            ValueError: the backbone has no such spatial stage, or refuses the images; `vocab_size`
                is below 2 or None; `dropout` is not in [0, 1).
        """
        (memory, carry), previous = (
            self.start(images, train=train),
            _previous_words(images, captions),
        )
        carry = _repeat(carry, len(previous) // len(images))
        embedded = self.embed(previous)  # [N, U, E]
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
        _, steps = scan(self, carry, self._words(weights, embedded))
        y = self._logits(embedded, steps, train).reshape(*captions.shape, -1)
        if not stages:
            return y
        arrays = steps._asdict()
        arrays = {k: arrays[k] for k in ("weights", "log_probability", "entropy")}
        shape = captions.shape
        return y, {k: a.reshape(*shape, *a.shape[2:]) for k, a in arrays.items() if a is not None}

    def start(self, images: jax.Array, *, train: bool = False) -> tuple[Memory, LSTMCarry]:
        """The positions of each image, and the carry before its first word."""
        maps = jnp.asarray(backbone_stage(self, images, train, rank=4), self.dtype)
        if self.coordinates:
            maps = jnp.concatenate([maps, coordinates(maps)], axis=-1)
        values = maps.reshape(len(maps), -1, maps.shape[-1])
        mean = values.mean(1)
        carry = LSTMCarry(nn.tanh(self.initial_c(mean)), nn.tanh(self.initial_h(mean)))
        carry = jax.tree.map(lambda a: a.astype(self.param_dtype), carry)
        return Memory(values, self.score.project(values)), carry

    def step(
        self, memory: Memory, carry: LSTMCarry, symbols: jax.Array
    ) -> tuple[LSTMCarry, jax.Array, jax.Array]:
        """The next carry, logits [N, vocab_size] and weights [N, K], after symbols [N].

        N is a multiple of B; the rows of one image are adjacent.
        """
        embedded, weights = self.embed(symbols), self._weights(memory)
        words = self._words(weights, embedded)
        carry, after = self._advance(weights, memory, carry, words, False)
        return carry, self._logits(embedded, after, False), after.weights

    def _advance(
        self, weights: dict, memory: Memory, carry: LSTMCarry, x: jax.Array, train: bool
    ) -> tuple[LSTMCarry, StepOutput]:
        """One step from the gates' part of the embedded word, x [N, 4H]."""
        rows = len(memory.values)
        h = carry.h.astype(self.dtype)
        scores = self.score(h.reshape(rows, -1, self.features), memory.keys)  # [B, C, K]
        statistics = {}
        if self.hard and train:
            sample = sample_key(self.make_rng("attention"), scores)
            alpha, context = sample.weights, weighted_sum(sample.weights, memory.values)
            statistics = {k: a.reshape(-1) for k, a in sample._asdict().items() if k != "weights"}
        elif self.hard:
            alpha = jax.nn.one_hot(scores.argmax(-1), scores.shape[-1], dtype=scores.dtype)
            context = weighted_sum(alpha, memory.values)
        else:
            context, alpha = attend(scores, memory.values)
        alpha, context = (a.reshape(-1, a.shape[-1]) for a in (alpha, context))
        context = nn.sigmoid(self.gate(h)) * context
        new = self.cell.update(weights, carry, x + context @ weights["kernel"][self.embedding :])
        new = jax.tree.map(lambda n, o: n.astype(o.dtype), new, carry)
        return new, StepOutput(new.h.astype(self.dtype), context, alpha, **statistics)

    def _words(self, weights: dict, embedded: jax.Array) -> jax.Array:
        """The gates' part [..., 4H] of embedded words [..., E]."""
        kernel = {"kernel": weights["kernel"][: self.embedding]}
        return self.cell.project(weights | kernel, embedded)

    def _logits(self, embedded: jax.Array, output: StepOutput, train: bool) -> jax.Array:
        """Logits [..., vocab_size]."""
        x = embedded + self.state_out(output.h) + self.context_out(output.context)
        return self.output(self.drop(x, deterministic=not train))

    def _weights(self, memory: Memory) -> dict[str, jax.Array]:
        """The LSTM's weights in the computation dtype; the first rows of its kernel are for E y."""
        rows, _, width = memory.values.shape
        weights = self.cell.weights((rows, self.embedding + width), self.param_dtype)
        return {k: a.astype(self.dtype) for k, a in weights.items()}


def _check(model: nn.Module) -> None:
    name = type(model).__name__
    if model.vocab_size is None or model.vocab_size < 2:
        raise ValueError(f"{name}.vocab_size must be at least 2, got {model.vocab_size}")
    check_probability(f"{name}.dropout", model.dropout)


def _previous_words(images: jax.Array, captions: jax.Array) -> jax.Array:
    """For each word of captions [B, ..., U] the previous one, [N, U].

    Raises:
        ValueError: the shapes of captions and images do not fit.
    """
    if captions.ndim < 2 or len(captions) != len(images):
        raise ValueError(
            f"captions must be [{len(images)}, U] or [{len(images)}, C, U] for images "
            f"{list(images.shape)}, got {list(captions.shape)}"
        )
    return shift_right(captions.reshape(-1, captions.shape[-1]))


def _repeat(carry: Any, times: int) -> Any:
    """The carry with each row repeated."""
    return jax.tree.map(lambda a: jnp.repeat(a, times, axis=0), carry)
