"""Tagging of words: word and character-level recurrent networks (Ling et al. 2015)."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.gru import GRU
from nets.layers.checks import check_at_least, check_choice, check_probability
from nets.layers.conv import Conv
from nets.layers.recurrent import Backend, Recurrent
from nets.layers.sequence import output_layer, source_mask
from nets.layers.word_dropout import word_dropout
from nets.lstm import LSTM


class Tagger(nn.Module):
    """A class for each word of a sentence, from the words around it and from its letters.

        e_t = [E w_t, c_t],  c_t = characters(letters of w_t)
        h_1 .. h_T = recurrent(e_1 .. e_T), in both directions
        logits of y_t = h_t V + b

    Of the characters, "lstm" takes the last states of both directions of an LSTM over their
    embeddings (Ling et al. 2015; Lample et al. 2016), "cnn" the maximum over the word of a
    convolution of three characters (Ma and Hovy 2016), "none" takes none. Symbol 0 is padding:
    a sentence is read up to its first 0, and a word up to the first 0 of its characters.

    Dropout acts on e_t, between layers and on h_t; `word_dropout` replaces words by the unknown, so
    that their letters and neighbours are learnt from.

    >>> model, key = Tagger(num_classes=3, vocab_size=9, num_characters=7), jax.random.key(0)
    >>> x, c = jnp.ones((2, 5), int), jnp.ones((2, 5, 8), int)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, c, train=False))[0].shape
    (2, 5, 3)

    Attributes:
        num_classes: number of tags. None means that the data fills it in.
        vocab_size: number of words. None means that the data fills it in.
        num_characters: number of characters. None means that the data fills it in.
        characters: how a word's characters are read.
        embedding: features of the embedding of words.
        character_embedding: features of the embedding of characters.
        character_features: features of a word by its characters, those of both directions together.
        cell: the recurrent cell over the words.
        layers: number of recurrent layers over the words.
        bidirectional: whether a second cell of each layer reads backwards.
        lookahead: words ahead that each layer reads, at most; None means all.
        dropout: probability of dropping a unit while training.
        word_dropout: probability of replacing a word by the unknown, 1, while training.
        backend: implementation of the recurrent layers (`nets.layers.recurrent.Recurrent`).
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    vocab_size: int | None = None
    num_characters: int | None = None
    characters: Literal["lstm", "cnn", "none"] = "lstm"
    embedding: int = 100
    character_embedding: int = 25
    character_features: int = 50
    cell: LSTM | GRU = LSTM(100)
    layers: int = 1
    bidirectional: bool = True
    lookahead: int | None = None
    dropout: float = 0.5
    word_dropout: float = 0.0
    backend: Backend = "auto"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, inputs: jax.Array, characters: jax.Array, *, train: bool) -> jax.Array:
        """Logits [B, T, num_classes], float32 at least, of words [B, T] (int).

        Args:
            inputs: the words.
            characters: [B, T, C] (int), those of each word.
            train: whether dropout acts; needs the key "dropout" then.

        Raises:
            ValueError: a field is out of its range, or an array has another shape.
        """
        check_choice("characters", self.characters, ("lstm", "cnn", "none"))
        check_at_least("embedding", self.embedding, 1)
        check_probability("word_dropout", self.word_dropout)
        if inputs.ndim != 2 or characters.shape[:-1] != inputs.shape:
            raise ValueError(
                "inputs must be [B, T] and characters [B, T, C], got "
                f"{list(inputs.shape)} and {list(characters.shape)}"
            )
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        lengths = source_mask(inputs).sum(1)
        if train and self.word_dropout:
            inputs = word_dropout(self.make_rng("dropout"), inputs, self.word_dropout)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        x = nn.Embed(self.vocab_size, self.embedding, name="words", **dtypes)(inputs)
        if self.characters != "none":
            of_letters = self._read(characters.reshape(-1, characters.shape[-1]), **dtypes)
            x = jnp.concatenate([x, of_letters.reshape(*inputs.shape, -1)], -1)
        recurrent = Recurrent(
            self.cell,
            self.layers,
            bidirectional=self.bidirectional,
            lookahead=self.lookahead,
            dropout=self.dropout,
            backend=self.backend,
            name="recurrent",
            **dtypes,
        )
        h, _ = recurrent(drop(x), lengths=lengths, train=train)
        return output_layer(self, self.num_classes, name="output")(drop(h))

    def _read(self, letters: jax.Array, **dtypes: DTypeLike) -> jax.Array:
        """Features [N, character_features] of words by their letters [N, C]."""
        embed = nn.Embed(self.num_characters, self.character_embedding, name="letters", **dtypes)
        mask = source_mask(letters)
        x = jnp.where(mask[..., None], embed(letters), 0)
        if self.characters == "cnn":
            x = Conv(self.character_features, (3,), name="character_conv", **dtypes)(x)
            return jnp.where(mask[..., None], nn.relu(x), 0).max(1)
        if self.character_features % 2:
            raise ValueError(
                f"character_features must be even, for both directions of an LSTM, got "
                f"{self.character_features}"
            )
        lstm = LSTM(self.character_features // 2)
        read = Recurrent(
            lstm, bidirectional=True, backend=self.backend, name="character_lstm", **dtypes
        )
        _, ((forward, backward),) = read(x, lengths=mask.sum(1))
        return jnp.concatenate([forward.h, backward.h], -1).astype(self.dtype)
