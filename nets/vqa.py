"""Visual question answering: a question about an image, and one of the known answers.

Antol et al., VQA: Visual Question Answering, ICCV 2015. Yang et al., Stacked Attention Networks for
Image Question Answering, CVPR 2016.

The backbone is any image network here with `num_classes=0`. A question is words below `vocab_size`;
0 is padding, and a question is read up to its first 0. There may be one question about each image,
[B, T], or several, [B, Q, T]; the image passes through the backbone once.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.attention import attend, weighted_sum
from nets.layers.attention_scores import Additive
from nets.layers.backbone_stage import backbone_stage, coordinates
from nets.layers.checks import check_at_least, check_choice
from nets.layers.precision import at_least_float32
from nets.question_reader import answer, check_questions, embedded, model_dense, read_questions

Stages = dict[str, jax.Array]
Fusion = Literal["sum", "product"]
Summary = Literal["last", "sum"]


class QuestionOnly(nn.Module):
    """Answers without the image: what the words alone betray (Antol et al. 2015, "LSTM Q").

        x_t = tanh(E w_t)
        q = tanh(W_q [c_T, h_T of each layer] + b_q),    c, h = LSTM(x_1 .. x_T)
        logits = V MLP(q) + b

    MLP has layers of tanh units, with dropout. The images are not looked at.

    >>> model, key = QuestionOnly(num_classes=5, vocab_size=9), jax.random.key(0)
    >>> images, questions = jnp.zeros((2, 28, 28, 3)), jnp.ones((2, 7), int)
    >>> jax.eval_shape(lambda: model.init_with_output(key, images, questions, train=False))[0].shape
    (2, 5)

    Attributes:
        embedding: size of x.
        features: number of units of each LSTM layer.
        layers: number of LSTM layers.
        joint: size of q.
        hidden: units of each layer of the MLP.
        dropout: probability of dropping a unit of the MLP while training.
        num_classes: number of answers. None means that the data fills it in.
        vocab_size: number of words. None means that the data fills it in.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    embedding: int = 300
    features: int = 512
    layers: int = 2
    joint: int = 1024
    hidden: tuple[int, ...] = (1000, 1000)
    dropout: float = 0.5
    num_classes: int | None = None
    vocab_size: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, questions: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, Stages]:
        """Logits [B, ..., num_classes], float32 at least, of images and questions [B, ..., T].

        The stages are {}. Needs the key `dropout` while training if `dropout` is above 0.

        Raises:
            ValueError: `num_classes` or `vocab_size` is None or below 1, another size is below 1,
                `dropout` is not in [0, 1), or images and questions do not fit.
        """
        check_questions(self, images, questions)
        logits = answer(self, _question(self, questions), train)
        return (logits, {}) if stages else logits


class ProductVQA(nn.Module):
    """Question and image, joined by a product (Antol et al. 2015, "deeper LSTM Q + norm I").

        q as of `QuestionOnly`
        v = tanh(W_v a / |a| + b_v),    a = CNN(image)
        logits = V MLP(q * v) + b

    >>> from nets.convnet import ConvNet
    >>> model = ProductVQA(ConvNet(num_classes=0), num_classes=5, vocab_size=9)
    >>> key, images, questions = jax.random.key(0), jnp.zeros((2, 28, 28, 3)), jnp.ones((2, 7), int)
    >>> jax.eval_shape(lambda: model.init_with_output(key, images, questions, train=False))[0].shape
    (2, 5)

    Attributes:
        backbone: the image network; it has its own `dtype`.
        stage: the backbone's stage [B, D] that is a.
        normalised: whether a is divided by its length.
        embedding: size of x.
        features: number of units of each LSTM layer.
        layers: number of LSTM layers.
        joint: size of q and v.
        hidden: units of each layer of the MLP.
        dropout: probability of dropping a unit of the MLP while training.
        num_classes: number of answers. None means that the data fills it in.
        vocab_size: number of words. None means that the data fills it in.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    backbone: nn.Module
    stage: str = "features"
    normalised: bool = True
    embedding: int = 300
    features: int = 512
    layers: int = 2
    joint: int = 1024
    hidden: tuple[int, ...] = (1000, 1000)
    dropout: float = 0.5
    num_classes: int | None = None
    vocab_size: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, questions: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, Stages]:
        """Logits [B, ..., num_classes], float32 at least, of images and questions [B, ..., T].

        The stages are {}. Needs the key `dropout` while training if `dropout` is above 0.

        Raises:
            ValueError: the backbone has no such stage, or refuses the images; `num_classes` or
                `vocab_size` is None or below 1, another size is below 1, `dropout` is not in
                [0, 1), or images and questions do not fit.
        """
        check_questions(self, images, questions)
        a = backbone_stage(self, images, train, rank=2)
        if self.normalised:
            wide = at_least_float32(a)
            a = wide * jax.lax.rsqrt(jnp.square(wide).sum(-1, keepdims=True) + 1e-12)
        v = nn.tanh(model_dense(self, self.joint, "image")(a))
        v = v.reshape(len(v), *[1] * (questions.ndim - 2), self.joint)
        logits = answer(self, _question(self, questions) * v, train)
        return (logits, {}) if stages else logits


class StackedAttention(nn.Module):
    """Looks at the image several times, each time for what it has seen (Yang et al. 2016).

        v_k = tanh(W_I a_k + b_I)                               (equation 2)
        u_0 = h_T,    h = LSTM(E w_1 .. E w_T)                  (equations 3 to 9)
        p_i = softmax_k(w_i^T tanh(U_i v_k + W_i u_{i-1} + b_i))  (equations 19 and 20)
        u_i = sum_k p_ik v_k + u_{i-1}                          (equations 21 and 22)
        logits = V u_n + b                                      (equation 23)

    a [B, K, D] is a spatial stage [B, H, W, D] of the backbone, flattened row by row. Dropout acts
    on u_n. With `hidden` layers of rectifiers stand before V, which the paper has not. With
    `summary` "sum" u_0 is sum_t h_t, in which no word is far away. With `fusion` "product" two
    terms are added to u_n: what each look has seen, and where, times the question, so that a word
    as "left" chooses what of it counts (after the multimodal residual networks of Kim et al. 2016).
    x_k is the row and column of k, from -1 to 1; that its gate is linear lets it be seen beside c:

        tanh(W_q u_0 + b_q) * (W_c [c_1 .. c_n] + b_c),    c_i = sum_k p_ik v_k
        (W_r u_0 + b_r) * (W_x [l_1 .. l_n] + b_x),        l_i = sum_k p_ik x_k

    >>> from nets.convnet import ConvNet
    >>> model = StackedAttention(ConvNet(num_classes=0), "pool2", num_classes=5, vocab_size=9)
    >>> key, images, questions = jax.random.key(0), jnp.zeros((2, 28, 28, 3)), jnp.ones((2, 7), int)
    >>> jax.eval_shape(lambda: model.init_with_output(key, images, questions, train=False))[0].shape
    (2, 5)

    Attributes:
        backbone: the image network; it has its own `dtype`.
        stage: the backbone's spatial stage [B, H, W, D] that is attended to.
        looks: number n of attention layers; the paper has one or two.
        embedding: size of E w.
        features: number of units of the LSTM, size of u and v.
        attention: size of the hidden layer of each attention.
        hidden: units of each rectified layer before the answer.
        bidirectional: whether half of the LSTM's units read the question backwards, so that u_0
            knows its beginning as well as its end.
        summary: "last" or "sum", which states of the LSTM are u_0.
        fusion: "sum" or "product", how question and looks are joined for the answer.
        dropout: probability of dropping a unit before the answer while training.
        num_classes: number of answers. None means that the data fills it in.
        vocab_size: number of words. None means that the data fills it in.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    backbone: nn.Module
    stage: str
    looks: int = 2
    embedding: int = 500
    features: int = 1024
    attention: int = 512
    hidden: tuple[int, ...] = ()
    bidirectional: bool = False
    summary: Summary = "last"
    fusion: Fusion = "sum"
    dropout: float = 0.5
    num_classes: int | None = None
    vocab_size: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, questions: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, Stages]:
        """Logits [B, ..., num_classes], float32 at least, of images and questions [B, ..., T].

        Stages: weights [B, ..., looks, K], the p_i. Needs the key `dropout` while training if
        `dropout` is above 0.

        Raises:
            ValueError: the backbone has no such spatial stage, or refuses the images; `num_classes`
                or `vocab_size` is None or below 1, another size is below 1, `summary` or `fusion`
                is neither of its choices, `features` is odd if bidirectional, `dropout` is not in
                [0, 1), or images and questions do not fit.
        """
        check_questions(self, images, questions)
        check_at_least("StackedAttention.looks", self.looks, 1)
        check_at_least("StackedAttention.attention", self.attention, 1)
        check_choice("StackedAttention.summary", self.summary, Summary)
        check_choice("StackedAttention.fusion", self.fusion, Fusion)
        if self.bidirectional and self.features % 2:
            raise ValueError(
                f"StackedAttention.features must be even if bidirectional, got {self.features}"
            )
        maps = jnp.asarray(backbone_stage(self, images, train, rank=4), self.dtype)
        a = maps.reshape(len(maps), -1, maps.shape[-1])
        v = nn.tanh(model_dense(self, self.features, "image")(a))
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        words = embedded(self, questions)
        states, ((_, last),) = read_questions(self, words, questions, 1, self.bidirectional)
        question = last if self.summary == "last" else states.sum(-2)
        u, contexts, weights = question, [], []
        for i in range(self.looks):
            score = Additive(self.attention, use_bias=True, name=f"look_{i + 1}", **dtypes)
            context, p = attend(score(u, score.project(v)), v)
            u = u + context
            contexts.append(context)
            weights.append(p)
        p = jnp.stack(weights, -2)
        if self.fusion == "product":
            asked = nn.tanh(model_dense(self, self.features, "asked")(question))
            u = u + asked * model_dense(self, self.features, "looks")(jnp.concatenate(contexts, -1))
            positions = weighted_sum(p, coordinates(maps).reshape(*a.shape[:2], 2))
            where = model_dense(self, self.features, "positions")(
                positions.reshape(*u.shape[:-1], -1)
            )
            u = u + model_dense(self, self.features, "sides")(question) * where
        logits = answer(self, u, train, nn.relu)
        return (logits, {"weights": p}) if stages else logits


def _question(model: Any, questions: jax.Array) -> jax.Array:
    """q [B, ..., joint] of questions [B, ..., T]."""
    check_at_least(f"{type(model).__name__}.joint", model.joint, 1)
    _, states = read_questions(model, nn.tanh(embedded(model, questions)), questions, model.layers)
    joined = jnp.concatenate([a for state in states for a in state], -1)
    return nn.tanh(model_dense(model, model.joint, "summary")(joined))
