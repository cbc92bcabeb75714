"""Sequence models and captioners multiply in `dtype`, and make logits in float32."""

import functools

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from nets.caption import ShowAndTell, ShowAttendTell
from nets.encoder_decoder import Seq2Seq
from nets.gru import GRU
from nets.lstm import LSTM
from nets.luong import Luong
from nets.recurrent_lm import RecurrentLM
from nets.sentence_classifier import SentenceClassifier
from nets.seq2seq import Bahdanau
from nets.sequence import ManyToMany, ManyToOne, OneToMany
from nets.tagger import Tagger
from tests.support.checks import equations

CLASSES = 13  # no other size is this


class Pixels(nn.Module):
    """A backbone that computes nothing."""

    @nn.compact
    def __call__(self, x, *, train, stages):
        return x, {"maps": x, "features": x.reshape(len(x), -1)}


X, IDS, IMAGES = jnp.ones((2, 3, 5)), jnp.ones((2, 3), int), jnp.ones((2, 4, 4, 3))
TELL = {"features": 6, "embedding": 5, "vocab_size": CLASSES, "dropout": 0.1}
ATTEND = ShowAttendTell(Pixels(), "maps", hidden=7, coordinates=True, **TELL)
MODELS = {
    "many to one": (ManyToOne(CLASSES, LSTM(6), dropout=0.1), X),
    "many to many": (ManyToMany(CLASSES, GRU(6), layers=2), X),
    "one to many": (OneToMany(3, CLASSES, LSTM(6)), X[:, 0]),
    "sequence to sequence": (Seq2Seq(CLASSES, 7, GRU(6)), IDS, IDS),
    "show and tell": (ShowAndTell(Pixels(), **TELL), IMAGES, IDS),
    "show, attend and tell": (ATTEND, IMAGES, IDS),
    "hard attention": (ATTEND.clone(hard=True), IMAGES, IDS),
    "luong": (Luong(CLASSES, 7, LSTM(6), embedding=5), IDS, IDS),
    "luong, local": (Luong(CLASSES, 7, GRU(6), embedding=5, attention="local-p"), IDS, IDS),
    "bahdanau": (Bahdanau(CLASSES, 7, GRU(6), embedding=5, hidden=4, readout=3), IDS, IDS),
    "characters": (RecurrentLM(CLASSES, LSTM(6), embed=5), IDS),
    "sentence": (SentenceClassifier(CLASSES, 7, 5, LSTM(6), pooling="attention"), IDS),
    "tagger": (Tagger(CLASSES, 7, 7, cell=LSTM(6)), IDS, jnp.ones((2, 3, 4), int)),
}
WITHOUT_STEP = {"many to one", "many to many", "one to many", "characters", "sentence", "tagger"}
CHOICES = [(name, "call") for name in MODELS] + [
    (name, "step") for name in MODELS if name not in WITHOUT_STEP
]


def factors(model, arguments, how):
    """Types of the factors of each matmul, and of what is looked up; those with CLASSES apart."""
    rngs = {name: jax.random.key(0) for name in ("dropout", "attention")}
    init = functools.partial(model.init, train=False)
    variables = jax.eval_shape(init, jax.random.key(0), *arguments)
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}

    def call(variables):
        return model.apply(variables, *arguments, train=True, rngs=rngs)

    def step(variables):
        memory, carry = model.apply(variables, arguments[0], method="start")
        return model.apply(variables, memory, carry, IDS[:, 0], method="step")

    rest, heads = set(), []
    program = jax.make_jaxpr({"call": call, "step": step}[how])(variables)
    for equation, _ in equations(program.jaxpr):
        given = [v.aval for v in equation.invars]
        if equation.primitive.name == "dot_general":
            dtypes = {str(a.dtype) for a in given}
            if given[1].shape[-1] == CLASSES and equation.outvars[0].aval.shape[-1] == CLASSES:
                heads.append(dtypes)
            else:
                rest |= dtypes
        elif equation.primitive.name == "gather":
            rest |= {str(given[0].dtype)} & {"float32", "bfloat16"}
    return rest, heads


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("name, how", CHOICES)
def test_what_is_multiplied(name, how, dtype):
    model, *arguments = MODELS[name]
    rest, heads = factors(model.clone(dtype=jnp.dtype(dtype)), arguments, how)
    assert rest == {dtype}
    assert heads == [{"float32"}]
