"""Captioning: losses and figures worked by hand, REINFORCE, and what is shown."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from matplotlib.figure import Figure

from nets.caption import ShowAndTell, ShowAttendTell
from nets.data.tokenizers import Words
from nets.errors import UserError
from nets.layers.decoding import Decoded
from nets.tasks import caption, caption_figures
from nets.tasks.caption import Caption
from nets.tasks.caption_metrics import caption_metrics, cell_shares, grid
from nets.tasks.task import Trained
from tests.support.checks import jit

KEY = jax.random.key(0)
WORDS = ["", "a", "red", "dot", "is", "left", "big"]


class Eyes(nn.Module):
    """Sees one pixel in sixteen."""

    @nn.compact
    def __call__(self, x, *, train, stages):
        return x, {"maps": x[:, ::4, ::4], "features": x[:, 0, 0]}


HARD = ShowAttendTell(
    Eyes(), "maps", features=4, embedding=3, hidden=4, hard=True, vocab_size=len(WORDS)
)


class Parrot(nn.Module):
    """Gives each symbol of each caption the probability (3/4, 1/8 ...) that `odds` says of it."""

    @nn.compact
    def __call__(self, images, captions, *, train, stages):
        odds = self.param("odds", nn.initializers.constant(0.5), (*captions.shape, 1))
        right = jax.nn.one_hot(captions, len(WORDS))
        logits = jnp.log(jnp.where(right > 0, odds, (1 - odds) / (len(WORDS) - 1)))
        return logits, {"weights": jnp.full((*captions.shape, 4), 0.25)}


def batch(**more):
    """Two images, two captions each."""
    captions = np.array([[[1, 2, 3, 0], [1, 3, 0, 0]], [[4, 0, 0, 0], [0, 0, 0, 0]]], np.int32)
    lengths = np.array([[3, 2], [1, 0]], np.int32)  # the last one has no words
    found = {"inputs": np.zeros((2, 8, 8, 3), np.uint8), "targets": captions}
    return jax.tree.map(jnp.asarray, found | {"caption_lengths": lengths} | more)


ODDS = np.array(
    [
        [[1 / 2, 1 / 4, 1 / 2, 1 / 2], [1 / 2, 1 / 2, 1 / 8, 1 / 99]],
        [[1 / 2, 1 / 2, 1 / 99, 1 / 99], [1 / 4, 1 / 99, 1 / 99, 1 / 99]],
    ]
)  # in all 1/32 for each caption of the first image, 1/4 for those of the second


def loss(task, given, odds=ODDS, train=True, state=None):
    params = {"odds": jnp.asarray(odds[..., None], jnp.float32)}
    value, (_, metrics) = task.loss(Parrot(), params, state or {}, given, KEY, train)
    assert (
        task.finish(metrics, {}, None)["loss"] == pytest.approx(float(value))
        or task.doubly_stochastic
    )
    return float(value)


def test_losses_by_hand():
    nats = math.log(32), math.log(4)
    assert loss(Caption(), batch()) == pytest.approx((nats[0] + nats[1]) / 2)
    # either caption of the first image: 1/32 + 1/32
    either = Caption(references="any")
    assert loss(either, batch()) == pytest.approx((math.log(16) + math.log(2)) / 2)
    rows = batch(mask=np.array([1, 0], np.float32))
    assert loss(either, rows) == pytest.approx(math.log(16))
    uneven = ODDS.copy()
    uneven[0, 1, 2] = 1 / 4
    assert loss(Caption(), rows, uneven) == pytest.approx((math.log(32) + math.log(16)) / 2)
    assert loss(either, rows, uneven) == pytest.approx(-math.log(1 / 32 + 1 / 16))


def test_the_doubly_stochastic_regulariser_by_hand():
    """Each of 4 places has 1/4 of each of 4, 3, 2 and 1 steps."""
    first = (4 * (1 - 4 / 4) ** 2 + 4 * (1 - 3 / 4) ** 2) / 2
    second = (4 * (1 - 2 / 4) ** 2 + 4 * (1 - 1 / 4) ** 2) / 2
    given, plain = batch(), loss(Caption(), batch())
    found = loss(Caption(doubly_stochastic=0.5), given)
    assert found == pytest.approx(plain + 0.5 * (first + second) / 2)


def test_cells_share_boxes_by_their_pixels():
    boxes = np.array([[[0, 0, 4, 4], [2, 1, 11, 5]], [[3, 3, 4, 4], [0, 0, 12, 6]]])
    for cells in ((2, 3), (6, 12), (1, 1)):
        height, width = 6 // cells[0], 12 // cells[1]
        found = np.asarray(cell_shares(jnp.asarray(boxes), (6, 12), cells)).reshape(2, 2, *cells)
        for i, o, r, c in np.ndindex(found.shape):
            left, top, right, bottom = boxes[i, o]
            pixels = [
                top <= y < bottom and left <= x < right
                for y in range(r * height, (r + 1) * height)
                for x in range(c * width, (c + 1) * width)
            ]
            assert found[i, o, r, c] == pytest.approx(np.mean(pixels))
    uneven = cell_shares(jnp.array([[[1, 0, 2, 5]]]), (5, 5), (1, 2))  # cells of 2.5 pixels
    np.testing.assert_allclose(uneven[0, 0], [1 / 2.5, 0])


def test_places_are_a_grid():
    assert grid(256, 64, 64) == (16, 16) and grid(8, 20, 40) == (2, 4) and grid(4, 64, 64) == (2, 2)
    with pytest.raises(UserError, match="7 positions are no grid of cells over images of 64 x 64"):
        grid(7, 64, 64)


def seen():
    """Three images of 8 x 8 pixels in 2 x 2 cells, and what was written for them."""
    captions = np.array([[[1, 2, 3, 0], [6, 3, 4, 0]]] * 3, np.int32)
    named = np.array([[[-1, 0, 0, -1], [1, -1, 1, -1]]] * 3, np.int32)
    boxes = np.array([[[0, 0, 2, 4], [2, 2, 8, 8]]] * 3, np.float32)  # 8 and 36 of 64 pixels
    said = np.array([[1, 2, 3, 0], [6, 3, 4, 0], [1, 2, 5, 0]])  # the second caption; one mistake
    weights = np.zeros((3, 4, 4))
    weights[0, 1] = 0.5, 0.25, 0.25, 0  # of the first cell a half is in the first box, of others 0
    weights[0, 2] = 1, 0, 0, 0
    weights[1, 0] = 0, 0, 0.2, 0.8  # the second box has a quarter, a half, a half and all
    weights[1, 2] = 0.4, 0.6, 0, 0
    weights[2] = 0.25
    rows = {"targets": captions, "named": named, "boxes": boxes}
    rows |= {"caption_lengths": np.full((3, 2), 3), "inputs": np.zeros((3, 8, 8, 3), np.uint8)}
    return jax.tree.map(jnp.asarray, (Decoded(said, weights, np.zeros(3)), rows))


def test_attention_inside_boxes_by_hand():
    written, rows = seen()

    def finish(**more):
        return Caption().finish(caption_metrics(written, rows | more), {}, None)

    inside = [0.5 * 0.5, 0.5, 0.2 * 0.5 + 0.8, 0.4 * 0.25 + 0.6 * 0.5]
    want = {"exact_match": 2 / 3, "attributes": 2 / 3, "relation": 1}
    want |= {"in_box": sum(inside) / 4, "box_share": (2 * 8 + 2 * 36) / 64 / 4}
    assert finish() == pytest.approx(want)
    masked = finish(mask=jnp.array([1.0, 0, 0]))
    assert masked["in_box"] == pytest.approx(sum(inside[:2]) / 2)
    assert masked["box_share"] == pytest.approx(8 / 64) and masked["exact_match"] == 1
    none = finish(mask=jnp.array([0, 0, 1.0]))
    assert none == {"exact_match": 0, "attributes": 0, "relation": 1}
    other = written._replace(symbols=written.symbols.at[1, 1].set(2))  # names no object
    found = Caption().finish(caption_metrics(other, rows), {}, None)
    assert (found["exact_match"], found["attributes"], found["relation"]) == pytest.approx(
        (1 / 3, 2 / 3, 2 / 3)
    )
    del rows["named"]
    assert finish() == pytest.approx({"exact_match": 2 / 3})


def test_what_is_written_is_measured_in_evaluation_alone():
    task, model, given = Caption(), HARD.clone(hard=False), batch()
    params, state = task.init(model, KEY, given)
    assert state == {"baseline": 0}  # as of a hard one, which may begin with these parameters
    loss = functools.partial(task.loss, model, train=True)
    assert set(jax.eval_shape(loss, params, state, given, KEY)[1][1]) == {"loss"}
    test = functools.partial(task.test, model, final=False)
    assert set(jax.eval_shape(test, params, state, given, KEY)[1]) == {"loss", "exact_match"}


def reinforced(task, baseline=0.0):
    """Of a step with hard attention: parameters, gradient, value, baseline, the metric loss."""
    given = batch(inputs=np.arange(384, dtype=np.uint8).reshape(2, 8, 8, 3))
    params, state = task.init(HARD, KEY, given)
    assert state["baseline"] == 0
    state["baseline"] = jnp.asarray(baseline)
    step = jax.value_and_grad(functools.partial(task.loss, HARD, train=True), has_aux=True)
    (value, (state, metrics)), grads = jit(step)(params, state, given, KEY)
    return params, grads, value, state["baseline"], task.finish(metrics, {}, None)["loss"]


@pytest.mark.parametrize("references", ["all", "any"])
def test_hard_attention_learns_by_reinforce(references):
    weights = {"reward_weight": 0.7, "entropy_weight": 0.3}
    task, given = Caption(references=references, **weights), batch()
    params, grads, value, baseline, loss = reinforced(task, -3.0)
    assert np.asarray(grads["score"]["v"]).any()
    assert baseline == pytest.approx(0.9 * -3 - 0.1 * loss, rel=1e-5)
    images = task.pixels(jnp.arange(384, dtype=jnp.uint8).reshape(2, 8, 8, 3))
    logits, seen = HARD.apply(
        {"params": params}, images, given["targets"], train=True, stages=True,
        rngs={"attention": jax.random.split(KEY)[1]},
    )  # fmt: skip
    right = np.take_along_axis(
        np.asarray(jax.nn.log_softmax(logits)), np.asarray(given["targets"])[..., None], -1
    )[..., 0]
    counted = np.array([[[1, 1, 1, 1], [1, 1, 1, 0]], [[1, 1, 0, 0], [1, 0, 0, 0]]])
    reward, p, entropy = (
        (np.asarray(a, float) * counted).sum(-1)
        for a in (right, seen["log_probability"], seen["entropy"])
    )
    if references == "any":
        reward = np.logaddexp(reward[:, :1], reward[:, 1:])
        p, entropy = p.sum(1, keepdims=True), entropy.sum(1, keepdims=True)
    want = -np.mean(reward + 0.7 * (reward + 3) * p + 0.3 * entropy)
    assert float(value) == pytest.approx(want, rel=1e-5)


def test_nothing_but_reinforce_tells_hard_attention_where_to_look():
    _, grads, *_ = reinforced(Caption(reward_weight=0.0, entropy_weight=0.0))
    assert not np.asarray(grads["score"]["v"]).any()
    assert np.asarray(grads["output"]["kernel"]).any()


def test_pixels_are_scaled_by_mean_and_std():
    task = Caption(mean=(0.0, 0.5, 1.0), std=(1.0, 0.25, 0.5))
    image = jnp.full((1, 1, 1, 3), 255, jnp.uint8)
    np.testing.assert_allclose(task.pixels(image).ravel(), [1, 2, 0])
    with pytest.raises(UserError, match="one number for each of the 1 colours"):
        task.pixels(image[..., :1])


def test_pictures_show_a_panel_a_word():
    written, rows = jax.tree.map(np.asarray, seen())
    chosen, same = np.array([0, 1, 0]), np.ones((3, 4), bool)
    same[2, 2] = False
    maps = written.weights.reshape(3, 4, 2, 2)
    words = Words(tuple(WORDS))
    found = caption_figures.captions(rows, written.symbols, maps, chosen, same, words, examples=2)
    view = found["attention"]
    assert view.columns == 6 and view.images.shape == (12, 192, 192, 3)
    ax = Figure().add_subplot()
    view.plot(ax)
    left = [image.get_extent()[0] for image in ax.images]
    assert left[:6] == sorted({*left}) and left[6:] == left[:6]  # two lines of six
    assert view.captions == (
        "(correct)",
        "a",
        "red",
        "dot",
        "",
        "",
        "(correct)",
        "big",
        "dot",
        "is",
        "",
        "",
    )
    assert found["decoded"].title == "Decoded captions: 1 of 3 wrong"
    assert found["decoded"].text.splitlines() == [
        "a red left  (wrong; correct: a red dot)", "a red dot", "big dot is",
    ]  # fmt: skip
    assert set(caption_figures.captions(rows, written.symbols, None, chosen, same, words)) == {
        "decoded"
    }


def test_an_overlay_is_bright_where_attention_is_and_frames_the_box():
    image = np.full((4, 4, 3), 255, np.uint8)
    picture = caption_figures.overlay(image, np.array([[0.2, 0.1], [0.0, 0.1]]), None)
    corners = picture[0, 0, 0], picture[0, -1, 0], picture[-1, 0, 0]
    np.testing.assert_allclose(corners, [1, 0.35 + 0.65 / 2, 0.35], rtol=1e-6)
    framed = caption_figures.overlay(
        image, np.zeros((2, 2)), np.array([1, 1, 3, 3])
    )  # 48 to 144 of 192
    assert framed[44, 100, 0] == 0 and framed[46, 100, 0] == framed[47, 47, 0] == 1  # two widths
    changed = (framed != np.float32(0.35)).any(-1)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (44, 147, 44, 147)
    assert not changed[48:144, 48:144].any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"references": "some"}, "references must be one of all, any, got some"),
        ({"doubly_stochastic": -1.0}, "doubly_stochastic must be at least 0, got -1.0"),
        ({"entropy_weight": float("nan")}, "entropy_weight must be at least 0, got nan"),
        ({"baseline_decay": 1.0}, "baseline_decay must be at least 0 and below 1, got 1.0"),
        ({"std": (1.0, 0.0, 1.0)}, r"std must be above 0, got \(1.0, 0.0, 1.0\)"),
    ],
)
def test_refusals(fields, message):
    with pytest.raises(UserError, match=message):
        Caption(**fields)


def test_no_soft_attention_no_regulariser():
    """No gradient passes to the weights of hard attention, which are drawn."""
    blind = ShowAndTell(Eyes(), features=4, embedding=3, vocab_size=len(WORDS))
    for model in (blind, HARD):
        with pytest.raises(UserError, match=f"{type(model).__name__}, which has no soft attention"):
            Caption(doubly_stochastic=1.0).init(model, KEY, batch())
    Caption(doubly_stochastic=1.0).init(HARD.clone(hard=False), KEY, batch())


def test_a_prediction_is_the_likeliest_caption(tmp_path, monkeypatch):
    """Word by word by the whole model, from the caption so far; a panel for each."""
    monkeypatch.setattr(caption, "_WORDS", 6)
    task, model = Caption(), HARD.clone(hard=False)
    images = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    params, state = task.init(model, jax.random.key(2), batch(inputs=np.repeat(images, 2, 0)))
    outputs = jax.device_get(task.outputs(model, params, state, {"inputs": images}))
    symbols, logits_of = np.zeros((1, 1, 6), int), jit(functools.partial(model.apply, train=False))
    total = 0.0
    for t in range(6):
        logits = logits_of({"params": params}, task.pixels(jnp.asarray(images)), symbols)[0, 0, t]
        symbols[0, 0, t] = logits.argmax()
        total += float(jax.nn.log_softmax(logits).max())
        if symbols[0, 0, t] == 0:
            break
    count = np.count_nonzero(symbols)
    assert count > 0
    words = Words(tuple(WORDS))
    prediction = task.prediction(
        Trained(model, params, state, {}, None, words, KEY), {"image": images[0]}, outputs
    )
    want = [WORDS[k] for k in symbols[0, 0, :count]]
    assert prediction.values["caption"] == prediction.summary == " ".join(want)
    assert prediction.values["log_probability"] == pytest.approx(total, rel=1e-4)
    assert (
        prediction.figure.captions == ("image", *want)
        and len(prediction.figure.images) == count + 1
    )
    assert prediction.figure.write(tmp_path, "a").is_file()


def test_a_prediction_without_attention_is_one_panel(tmp_path):
    image, words = np.zeros((8, 8, 3), np.uint8), Words(tuple(WORDS))
    for symbols, text in (([1, 2, 3, 0], "a red dot"), ([0, 0, 0, 0], "(nothing)")):
        prediction = caption_figures.prediction(image, np.array(symbols), None, -1.5, words)
        assert prediction.summary == text and len(prediction.figure.images) == 1
        assert prediction.figure.write(tmp_path, "a").is_file()
