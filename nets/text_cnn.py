"""Classification of sentences by a convolution over their words: Kim 2014."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least, check_probability
from nets.layers.conv import Conv
from nets.layers.sequence import output_layer, source_mask
from nets.layers.word_dropout import word_dropout
from nets.layers.word_pooling import max_over_time


class TextCNN(nn.Module):
    """CNN-rand of Kim 2014, "Convolutional neural networks for sentence classification".

        c_i = relu(w . [E x_i; ..; E x_{i+k-1}] + b)       for each filter of k words (equation 2)
        z = max_i c_i of every filter                      max over time
        logits = dropout(z) V + b

    Windows may reach beyond both ends of the sentence, where embeddings are 0, and each has one of
    its words at least, so that padding (symbol 0 and all after it) changes nothing. Left out is the
    paper's bound on the norm of the rows of V. Stages: words [B, T, embedding], features [B, F], z,
    and weights [B, T], the share of the filters whose maximum has each word in its middle.

    >>> model, x = TextCNN(num_classes=2, vocab_size=18766), jnp.ones((2, 9), int)
    >>> params = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
    >>> sum(a.size for a in jax.tree.leaves(params)) - 18766 * 300
    360902

    Attributes:
        num_classes: number of classes. None means that the data fills it in.
        vocab_size: number of words. None means that the data fills it in.
        embedding: features of the embedding.
        windows: words that filters see.
        features: filters of each window.
        dropout: probability of dropping one of z while training.
        word_dropout: probability of replacing a word by the unknown, 1, while training.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    vocab_size: int | None = None
    embedding: int = 300
    windows: tuple[int, ...] = (3, 4, 5)
    features: int = 100
    dropout: float = 0.5
    word_dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, inputs: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Logits [B, num_classes], float32 at least, of words [B, T] (int).

        Needs the key "dropout" while training if a dropout is above 0.

        Raises:
            ValueError: a field is out of its range, or inputs are not [B, T].
        """
        check_at_least("embedding", self.embedding, 1)
        check_at_least("features", self.features, 1)
        check_at_least("windows", min(self.windows, default=0), 1)
        check_probability("word_dropout", self.word_dropout)
        if inputs.ndim != 2:
            raise ValueError(f"inputs must be [B, T], got shape {list(inputs.shape)}")
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        mask = source_mask(inputs)
        if train and self.word_dropout:
            inputs = word_dropout(self.make_rng("dropout"), inputs, self.word_dropout)
        x = nn.Embed(self.vocab_size, self.embedding, name="words", **dtypes)(inputs)
        x = jnp.where(mask[..., None], x, 0)
        pooled, shares = [], []
        for k in self.windows:
            around = (k - 1, k - 1)
            conv = Conv(self.features, (k,), padding=(around,), name=f"conv_{k}", **dtypes)
            reached = jnp.pad(mask, ((0, 0), around))
            inside = jnp.stack([reached[:, i : i + mask.shape[1] + k - 1] for i in range(k)]).any(0)
            maximum, share = max_over_time(nn.relu(conv(x)), inside)
            pooled.append(maximum)
            shares.append(share[:, (k - 1) // 2 :][:, : mask.shape[1]])
        z = jnp.concatenate(pooled, -1)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        logits = output_layer(self, self.num_classes, name="output")(drop(z))
        if not stages:
            return logits
        weights = jnp.stack(shares).mean(0)
        return logits, {"words": x, "features": z, "weights": weights}
