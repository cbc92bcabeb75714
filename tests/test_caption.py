"""Captioners: word by word as all at once, what each word sees, refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.caption import ShowAndTell, ShowAttendTell
from nets.convnet import ConvNet
from nets.interop.backbone import with_backbone
from nets.interop.torch import vision_from_torch, vision_to_torch
from nets.layers.decoding import decode
from nets.resnet import ResNet
from tests.support.checks import assert_close, equations, jit


class Eyes(nn.Module):
    """Sees one pixel in four, normalised."""

    @nn.compact
    def __call__(self, x, *, train, stages):
        maps = nn.Dense(4)(x[:, ::2, ::2])
        maps = nn.relu(nn.BatchNorm(use_running_average=not train)(maps))
        return x, {"maps": maps, "features": maps.reshape(len(x), -1)}


CONVNET = ConvNet(widths=(3, 4), windows=(3, 3), num_classes=0)
TELL = ShowAndTell(Eyes(), features=6, embedding=5, vocab_size=9)
ATTEND = ShowAttendTell(Eyes(), "maps", features=6, embedding=5, hidden=7, vocab_size=9)
MODELS = {
    "tell": TELL,
    "soft": ATTEND.clone(coordinates=True),
    "hard": ATTEND.clone(hard=True),
}
IMAGES = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))
CAPTIONS = jnp.array([[[3, 1, 4, 0], [2, 0, 0, 0]], [[8, 5, 7, 6], [1, 2, 3, 0]]])  # [B, C, U]
KEYS = {"attention": jax.random.key(2)}


@functools.cache
def made(model):
    """Variables, batch statistics that are not those of the start among them."""
    variables = jit(functools.partial(model.init, train=False))(jax.random.key(0), IMAGES, CAPTIONS)

    def draw(a):
        return jax.random.uniform(jax.random.key(a.size), a.shape, minval=0.5)

    return variables | {"batch_stats": jax.tree.map(draw, variables["batch_stats"])}


@pytest.mark.parametrize("name", MODELS)
def test_word_by_word_as_all_at_once(name):
    model, variables = MODELS[name], made(MODELS[name])
    logits, stages = jit(functools.partial(model.apply, train=False, stages=True))(
        variables, IMAGES, CAPTIONS
    )
    memory, carry = jit(functools.partial(model.apply, method="start"))(variables, IMAGES)
    carry = jax.tree.map(lambda a: jnp.repeat(a, 2, axis=0), carry)
    step = jit(functools.partial(model.apply, method="step"))
    symbols = jnp.zeros(4, jnp.int32)
    for t in range(CAPTIONS.shape[-1]):
        carry, y, weights = step(variables, memory, carry, symbols)
        assert_close(y, logits[:, :, t].reshape(4, -1), 1e-5)
        if name != "tell":
            assert_close(weights, stages["weights"][:, :, t].reshape(4, -1), 1e-5)
        symbols = CAPTIONS[:, :, t].reshape(-1)
    assert logits.dtype == jnp.float32 and logits.shape == (2, 2, 4, 9)
    assert weights.shape == (4, 0 if name == "tell" else 16)
    alone = functools.partial(model.apply, train=False)  # one caption an image, [B, U]
    assert_close(jit(alone)(variables, IMAGES, CAPTIONS[:, 1]), logits[:, 1], 1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_written_are_the_likeliest_words(name):
    model, variables = MODELS[name], made(MODELS[name])
    written = jit(functools.partial(decode, model, length=5))(variables, IMAGES)
    logits = jit(functools.partial(model.apply, train=False))(variables, IMAGES, written.symbols)
    before = np.cumsum(np.asarray(written.symbols) == 0, 1) <= 1  # up to the end
    np.testing.assert_array_equal(np.where(before, logits.argmax(-1), 0), written.symbols)


@pytest.mark.parametrize("name", MODELS)
def test_a_word_sees_those_before_it_and_no_other(name):
    """The slope of the logits by the embedding of each word; the words of a caption differ."""
    model, variables = MODELS[name], made(MODELS[name])
    caption = jnp.array([[3, 1, 4, 2]])

    def run(table):
        params = variables["params"] | {"embed": {"embedding": table}}
        y = model.apply(variables | {"params": params}, IMAGES[:1], caption, train=False)
        return jnp.square(y[0]).sum(-1)  # [U]

    slopes = jit(jax.jacrev(run))(variables["params"]["embed"]["embedding"])  # [U, V, E]
    seen = np.abs(slopes).sum(-1) > 0
    for t, before in enumerate([{0}, {0, 3}, {0, 3, 1}, {0, 3, 1, 4}]):
        assert set(np.flatnonzero(seen[t])) == before


def test_what_needs_no_carry_stands_outside_the_scan():
    model = MODELS["soft"].clone(backbone=CONVNET, stage="conv2", features=11)
    init = functools.partial(model.init, train=False)
    variables = jax.eval_shape(init, jax.random.key(0), IMAGES, CAPTIONS)
    run = functools.partial(model.apply, train=False)
    found = list(equations(jax.make_jaxpr(run)(variables, IMAGES, CAPTIONS).jaxpr))
    dots = [(e.invars, "scan" in w) for e, w in found if e.primitive.name == "dot_general"]
    inside = [[v.aval.shape for v in operands] for operands, scanned in dots if scanned]
    outside = [[v.aval.shape for v in operands] for operands, scanned in dots if not scanned]
    # query, score and context of attention, its gate, and the gates of the LSTM by z and by h
    assert len(inside) == 6
    key, words = (6, 7), (5, 44)  # U [D, A], and W [E, 4H], which `matmul` has transposed
    assert not any(key in shapes or words[::-1] in shapes for shapes in inside)
    assert sum(key in shapes for shapes in outside) == 1
    assert sum(words[::-1] in shapes for shapes in outside) == 1
    convolutions = [e for e, _ in found if e.primitive.name == "conv_general_dilated"]
    assert [e.invars[0].aval.shape[0] for e in convolutions] == [2, 2]  # images, not captions


def test_hard_attention_looks_at_one_place():
    model, variables = MODELS["hard"], made(MODELS["hard"])

    def run(model, **options):
        apply = functools.partial(model.apply, stages=True, rngs=KEYS, **options)
        return jit(apply)(variables, IMAGES, CAPTIONS)

    _, stages = run(model, train=False)
    soft = run(ATTEND, train=False)[1]["weights"]
    likeliest = np.eye(16)[np.asarray(soft[:, :, 0].argmax(-1))]  # the same carry, once
    np.testing.assert_array_equal(stages["weights"][:, :, 0], likeliest)
    (_, stages), _ = run(model, train=True, mutable=["batch_stats"])
    weights = np.asarray(stages["weights"])
    assert set(np.unique(weights)) == {0.0, 1.0} and (weights.sum(-1) == 1).all()
    assert len({*weights.argmax(-1).flat}) > 4  # each word draws anew
    assert stages["log_probability"].shape == stages["entropy"].shape == CAPTIONS.shape
    assert (np.asarray(stages["log_probability"]) < 0).all()


def test_coordinates_tell_rows_from_columns():
    model, variables = MODELS["soft"], made(MODELS["soft"])
    memory, _ = model.apply(variables, IMAGES, method="start")
    where = np.asarray(memory.values[0, :, -2:]).reshape(4, 4, 2)
    assert where[0, 0].tolist() == [-1, -1] and where[3, 0].tolist() == [1, -1]
    np.testing.assert_allclose(where[1, 2], [-1 / 3, 1 / 3], rtol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_computes_and_float32_is_kept(name):
    model = MODELS[name].clone(dtype=jnp.bfloat16)
    (y, _), variables = jax.eval_shape(
        functools.partial(model.init_with_output, train=False, stages=True),
        jax.random.key(0), IMAGES, CAPTIONS,
    )  # fmt: skip
    assert y.dtype == jnp.float32
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    _, carry = jax.eval_shape(functools.partial(model.apply, method="start"), variables, IMAGES)
    assert {a.dtype for a in jax.tree.leaves(carry)} == {jnp.dtype(jnp.float32)}


@pytest.mark.slow
def test_weights_from_torchvision_go_into_the_backbone():
    eyes = ResNet(layers=(1, 1), block="basic", width=4, num_classes=0)
    images = jax.random.normal(jax.random.key(3), (2, 16, 16, 3))
    init = jit(functools.partial(eyes.init, train=False))
    theirs = vision_to_torch(init(jax.random.key(7), images), eyes) | {"fc.weight": np.ones(3)}
    model = ATTEND.clone(backbone=eyes, stage="layer1")
    variables = jit(functools.partial(model.init, train=False))(jax.random.key(0), images, CAPTIONS)
    shapes = jax.eval_shape(init, jax.random.key(0), images)
    converted = vision_from_torch(theirs, eyes, shapes, ignore=["fc."])
    given = with_backbone(variables, converted)
    memory, _ = model.apply(given, images, method="start")
    _, stages = eyes.apply(converted, images, train=False, stages=True)
    assert_close(memory.values, stages["layer1"].reshape(2, 16, 4), 1e-6)
    assert jax.tree.structure(given) == jax.tree.structure(variables)
    other = vision_from_torch(theirs, eyes, shapes, ignore=["fc."])
    del other["params"]["bn1"]["scale"]
    other["params"]["conv1"]["kernel"] = np.zeros((3, 3, 3, 4))
    with pytest.raises(ValueError, match="not the variables of the backbone") as refusal:
        with_backbone(variables, other)
    assert [line.split() for line in str(refusal.value).splitlines()[2:]] == [
        ["params/bn1/scale", "[4]", "nothing"],
        ["params/conv1/kernel", *"[7, 7, 3, 4] [3, 3, 3, 4]".split()],
    ]


@pytest.mark.parametrize(
    ("model", "images", "message"),
    [
        (ATTEND.clone(backbone=CONVNET, stage="conv9"), IMAGES,
         r"must be one of conv1, pool1, conv2, pool2, the stages \[B, H, W, D\] .* got 'conv9'"),
        (ATTEND.clone(stage="features"), IMAGES, r"one of maps, the stages \[B, H, W, D\] of Eyes"),
        (TELL.clone(stage="maps"), IMAGES, r"one of features, the stages \[B, D\] of Eyes"),
        (ATTEND.clone(backbone=CONVNET, stage="conv2"), IMAGES[:, :3],
         "ConvNet takes images .* of at least 4 x 4 pixels"),
        (ATTEND.clone(vocab_size=None), IMAGES, "Tell.vocab_size must be at least 2, got None"),
        (TELL.clone(vocab_size=1), IMAGES, "ShowAndTell.vocab_size must be at least 2, got 1"),
        (TELL.clone(dropout=1.0), IMAGES, r"ShowAndTell.dropout must be in \[0, 1\), got 1.0"),
        (ATTEND, IMAGES[:1], r"captions must be \[1, U\] or \[1, C, U\] .* got \[2, 2, 4\]"),
    ],
)  # fmt: skip
def test_refusals(model, images, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            functools.partial(model.init, train=False), jax.random.key(0), images, CAPTIONS
        )
