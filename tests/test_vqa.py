"""Answering models against the same equations in torch, with the same weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.convnet import ConvNet
from nets.vqa import ProductVQA, QuestionOnly, StackedAttention
from tests.support.checks import jit

EYES = ConvNet(widths=(3, 4), windows=(3, 3), num_classes=0)
IMAGES = jax.random.normal(jax.random.key(1), (3, 8, 8, 3))
QUESTIONS = np.array([[3, 1, 4, 0], [8, 5, 7, 6], [2, 0, 0, 0]])
KNOWN = {"num_classes": 5, "vocab_size": 9}
SMALL = {"embedding": 3, "features": 4, "joint": 6, "hidden": (7, 5), "dropout": 0.0} | KNOWN
STACKED = StackedAttention(
    EYES, "conv2", looks=2, embedding=3, features=6, attention=5, dropout=0.0, **KNOWN
)
MODELS = {
    "product": ProductVQA(EYES, **SMALL),
    "question": QuestionOnly(**SMALL),
    "stacked": STACKED,
    "product of looks": STACKED.clone(fusion="product"),
    "both ways": STACKED.clone(bidirectional=True),
    "all words": STACKED.clone(bidirectional=True, summary="sum", hidden=(5,)),
}


@functools.cache
def variables(name):
    """Parameters, none of which is zero."""
    init = functools.partial(MODELS[name].init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), IMAGES, QUESTIONS)
    rng = np.random.default_rng(0)

    def draw(s):
        return (rng.uniform(0.3, 0.9, s.shape) * rng.choice([-1, 1], s.shape)).astype(np.float32)

    statistics = jax.tree.map(jnp.ones_like, {k: v for k, v in shapes.items() if k != "params"})
    return {"params": jax.tree.map(draw, shapes["params"])} | statistics


@functools.cache
def applied(name):
    return MODELS[name].apply(variables(name), IMAGES, QUESTIONS, train=False, stages=True)


def parts(name):
    """The parameters for torch, and the stages of the backbone."""
    torch = pytest.importorskip("torch")
    given = variables(name)
    p = jax.tree.map(lambda a: torch.tensor(np.array(a)), given["params"])
    eyes = {k: v["backbone"] for k, v in given.items() if "backbone" in v}
    if not eyes:
        return torch, p, {}
    _, seen = EYES.apply(eyes, IMAGES, train=False, stages=True)
    return torch, p, {k: torch.tensor(np.array(a)) for k, a in seen.items()}


def dense(p, x):
    return x @ p["kernel"] + p.get("bias", 0)


def lstm_states(torch, layers, x, backwards=False, total=False):
    """c and h of each layer after the last word of each question, row by row; or of the first.

    With `total` in place of h its sum over all words.
    """
    states = [([], []) for _ in layers]
    for row, ids in zip(x, QUESTIONS, strict=True):
        sequence = row[None, : int((ids > 0).sum())]
        sequence = sequence.flip(1) if backwards else sequence
        for layer, state in zip(layers, states, strict=True):
            size = layer["recurrent_kernel"].shape[0]
            lstm = torch.nn.LSTM(sequence.shape[-1], size, batch_first=True)
            with torch.no_grad():
                lstm.weight_ih_l0.copy_(layer["kernel"].T)
                lstm.weight_hh_l0.copy_(layer["recurrent_kernel"].T)
                lstm.bias_ih_l0.copy_(layer["bias"])
                lstm.bias_hh_l0.zero_()
                sequence, (h, c) = lstm(sequence)
            state[0].append(c[0, 0])
            state[1].append(sequence[0].sum(0) if total else h[0, 0])
    return [tuple(torch.stack(a) for a in state) for state in states]


def summary(torch, p):
    words = torch.tanh(p["words"]["embedding"][torch.tensor(QUESTIONS)])
    layers = [p["question"][f"layer_{i}"] for i in range(2)]
    states = lstm_states(torch, layers, words)
    joined = torch.cat([a for state in states for a in state], -1)
    return torch.tanh(dense(p["summary"], joined))


def answer(torch, p, x):
    for name in ("hidden_1", "hidden_2"):
        x = torch.tanh(dense(p[name], x))
    return dense(p["output"], x)


def assert_same(ours, theirs):
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=2e-5)


def test_the_product_equals_torch():
    torch, p, seen = parts("product")
    a = torch.nn.functional.normalize(seen["features"], dim=-1)
    joined = summary(torch, p) * torch.tanh(dense(p["image"], a))
    assert_same(applied("product")[0], answer(torch, p, joined))


def test_the_question_alone_equals_torch():
    torch, p, _ = parts("question")
    assert_same(applied("question")[0], answer(torch, p, summary(torch, p)))


@pytest.mark.parametrize("name", ["stacked", "product of looks", "both ways", "all words"])
def test_stacked_attention_equals_torch(name):
    """Both looks, from the maps of the image and the last state of the question."""
    torch, p, seen = parts(name)
    maps = seen["conv2"]
    line = torch.linspace(-1, 1, 4)
    row, column = torch.meshgrid(line, line, indexing="ij")
    where = torch.stack([row, column], -1).expand(3, 4, 4, 2)
    v = torch.tanh(dense(p["image"], maps.reshape(3, 16, 4)))
    words = p["words"]["embedding"][torch.tensor(QUESTIONS)]
    layers, total = p["question"], name == "all words"
    ((_, question),) = lstm_states(torch, [layers["layer_0"]], words, total=total)
    if name in ("both ways", "all words"):
        ((_, begun),) = lstm_states(torch, [layers["layer_0_reverse"]], words, True, total)
        question = torch.cat([question, begun], -1)
    u, contexts, positions = question, [], []
    logits, stages = applied(name)
    assert stages["weights"].shape == (3, 2, 16)
    for i in (1, 2):
        q = p[f"look_{i}"]
        hidden = torch.tanh(dense(q["query"], u)[:, None] + dense(q["key"], v))
        weights = torch.softmax((hidden @ q["v"])[..., 0], -1)
        assert_same(stages["weights"][:, i - 1], weights)
        context = (weights[..., None] * v).sum(1)
        contexts.append(context)
        positions.append((weights[..., None] * where.reshape(3, 16, 2)).sum(1))
        u = u + context
    if name == "product of looks":
        looks = dense(p["looks"], torch.cat(contexts, -1))
        u = u + torch.tanh(dense(p["asked"], question)) * looks
        u = u + dense(p["sides"], question) * dense(p["positions"], torch.cat(positions, -1))
    if name == "all words":
        u = torch.relu(dense(p["hidden_1"], u))
    assert_same(logits, dense(p["output"], u))


@pytest.mark.parametrize("name", MODELS)
def test_padding_changes_nothing_and_only_some_look(name):
    model, given = MODELS[name], variables(name)
    longer = np.pad(QUESTIONS, ((0, 0), (0, 3)))
    y = jit(functools.partial(model.apply, train=False))(given, IMAGES, longer)
    np.testing.assert_allclose(y, applied(name)[0], rtol=1e-5, atol=1e-5)
    gradient = jax.grad(lambda x: model.apply(given, x, QUESTIONS, train=False).sum())(IMAGES)
    assert bool(jnp.any(gradient != 0)) == (name != "question")


@pytest.mark.parametrize("name", MODELS)
def test_several_questions_of_an_image_are_as_one_each(name):
    model, given = MODELS[name], variables(name)
    several = np.stack([QUESTIONS, QUESTIONS[::-1]], 1)  # [3, 2, T]
    apply = functools.partial(model.apply, given, IMAGES, train=False, stages=True)
    (y, stages), (other, others) = apply(several), apply(QUESTIONS[::-1])
    one, alone = applied(name)
    np.testing.assert_allclose(y, np.stack([one, other], 1), rtol=1e-5, atol=1e-5)
    for stage, a in stages.items():
        expected = np.stack([alone[stage], others[stage]], 1)
        np.testing.assert_allclose(a, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "images", "questions", "message"),
    [
        (ProductVQA(EYES, "conv2", **SMALL), IMAGES, QUESTIONS, "ProductVQA.stage must be one of "
         r"features, the stages \[B, D\] of ConvNet, got 'conv2'"),
        (StackedAttention(EYES, "features", **KNOWN), IMAGES, QUESTIONS, "must be one of conv1, "),
        (StackedAttention(EYES, "conv2", looks=0, **KNOWN), IMAGES, QUESTIONS, "looks must be at "),
        (STACKED.clone(bidirectional=True, features=5), IMAGES, QUESTIONS, "must be even if bidi"),
        (STACKED.clone(fusion="add"), IMAGES, QUESTIONS, "fusion must be one of sum, product"),
        (STACKED.clone(summary="mean"), IMAGES, QUESTIONS, "summary must be one of last, sum, got"),
        (QuestionOnly(vocab_size=3), IMAGES, QUESTIONS, "num_classes must be at least 1, got None"),
        (QuestionOnly(num_classes=3), IMAGES, QUESTIONS, "vocab_size must be at least 1, got None"),
        (STACKED.clone(embedding=0), IMAGES, QUESTIONS, "StackedAttention.embedding must be at l"),
        (STACKED.clone(attention=0), IMAGES, QUESTIONS, "StackedAttention.attention must be at l"),
        (STACKED.clone(hidden=(4, 0)), IMAGES, QUESTIONS, "StackedAttention.hidden must be at lea"),
        (QuestionOnly(joint=0, **KNOWN), IMAGES, QUESTIONS, "QuestionOnly.joint must be at least "),
        (QuestionOnly(dropout=1.0, **KNOWN), IMAGES, QUESTIONS, r"dropout must be in \[0, 1\)"),
        (QuestionOnly(**KNOWN), IMAGES, QUESTIONS[:2], r"questions must be \[3, T\] or \[3"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(model, images, questions, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            functools.partial(model.init, train=False), jax.random.key(0), images, questions
        )


def test_the_published_sizes():
    """Antol et al.: words of 300, two LSTM layers of 512, 1,024, twice 1,000, 1,000 answers."""
    model = QuestionOnly(num_classes=1000, vocab_size=100)
    shapes = jax.eval_shape(
        functools.partial(model.init, train=False), jax.random.key(0), IMAGES, QUESTIONS
    )
    lstm = 4 * 512 * (300 + 512 + 1) + 4 * 512 * (512 + 512 + 1)
    mlp = 2049 * 1024 + 1025 * 1000 + 2 * 1001 * 1000
    assert sum(a.size for a in jax.tree.leaves(shapes)) == 100 * 300 + lstm + mlp
