"""The next point of a pen: metrics by hand, gradients, truncation, samples and figures."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from nets.data.tokenizers import Characters
from nets.errors import UserError
from nets.handwriting import Handwriting
from nets.layers import mixture_density
from nets.lstm import LSTM
from nets.tasks import metrics
from nets.tasks.next_point import NextPoint
from nets.tasks.task import Trained

KEY = jax.random.key(0)
CELL = LSTM(6, peepholes=True, clip=10.0)
MODEL = Handwriting(CELL, layers=2, mixtures=2, pens=1)
WRITER = Handwriting(CELL, layers=2, mixtures=2, pens=1, window=2, vocab_size=5)
ENDING = Handwriting(CELL, layers=1, mixtures=2, pens=2)


def batch(pens=1, text=False, lengths=(9, 4, 0)):
    rng, rows = np.random.default_rng(0), len(lengths)
    mask = (np.arange(10) < np.array(lengths)[:, None]).astype(np.float32)
    points = rng.normal(size=(rows, 10, 2 + pens)).astype(np.float32)
    points[..., 2:] = points[..., 2:] > 0
    targets = points * mask[..., None]
    inputs = np.pad(targets[:, :-1], ((0, 0), (1, 0), (0, 0)))
    made = {"inputs": inputs, "targets": targets, "mask": mask}
    return made | ({"text": np.array([[1, 2, 3, 0], [4, 4, 0, 0], [2, 0, 0, 0]])} if text else {})


@functools.cache
def params(model):
    pens = model.pens
    given = batch(pens, bool(model.window))
    return jax.jit(lambda: NextPoint().init(model, KEY, given)[0])()


def trained(model, metadata=None):
    tokenizer = Characters(("", *"abcd")) if model.window else None
    return Trained(model, params(model), {}, metadata or {}, tokenizer, tokenizer, KEY)


def loss(model, task=NextPoint(), train=False, given=None):  # noqa: B008
    given = given or batch(model.pens, bool(model.window))
    call = functools.partial(task.loss, model, train=train)
    return jax.jit(call)(params(model), {}, given, KEY)


@pytest.mark.parametrize("model", [MODEL, WRITER, ENDING])
def test_metrics_are_those_of_each_point_and_padding_counts_for_nothing(model):
    given = batch(model.pens, bool(model.window))
    value, (_, sums) = loss(model)
    y, _ = model.apply({"params": params(model)}, given["inputs"], given.get("text"), train=False)
    parameters = mixture_density.mixture(y, model.pens)
    nats = -mixture_density.log_likelihood(parameters, given["targets"])
    total = sum(float(nats[0, t]) for t in range(9)) + sum(float(nats[1, t]) for t in range(4))
    assert float(sums["loss"][0]) == pytest.approx(total, rel=1e-5) and sums["loss"][1] == 13
    assert float(sums["nats_per_sequence"][1]) == 2  # the third row holds no point
    assert float(value) == pytest.approx(total / 13, rel=1e-5)
    given["targets"] = given["targets"] + 5 * (1 - given["mask"][..., None])
    again = loss(model, given=given)[1][1]
    assert float(again["loss"][0]) == pytest.approx(total, rel=1e-5)


def test_the_gradient_is_that_of_the_mean_where_nothing_is_clipped():
    model = MODEL.clone(cell=CELL.clone(clip=None), clip=None)
    weights = params(MODEL)

    def mean(p, train):
        return NextPoint().loss(model, p, {}, batch(), KEY, train)[0]

    gradient = jax.jit(jax.grad(mean), static_argnums=1)
    expected, trained_ = gradient(weights, False), gradient(weights, True)
    compare = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(compare, trained_, expected)


def test_clipping_is_that_of_the_sum_over_the_points():
    """A bound of 0.02 on dL/dy: the bias of the outputs is its sum over 13 points over 13."""
    model = MODEL.clone(clip=0.02)
    gradient = jax.jit(jax.grad(lambda p: NextPoint().loss(model, p, {}, batch(), KEY, True)[0]))
    bias = gradient(params(MODEL))["output"]["bias"]
    y, _ = MODEL.apply({"params": params(MODEL)}, batch()["inputs"], train=False)
    by_y = jax.grad(
        lambda y: (
            -jnp.sum(
                mixture_density.log_likelihood(mixture_density.mixture(y), batch()["targets"])
                * batch()["mask"]
            )
        )
    )(y)
    expected = np.clip(by_y, -0.02, 0.02).sum((0, 1)) / 13
    np.testing.assert_allclose(bias, expected, rtol=1e-4, atol=1e-7)


def test_truncation_changes_gradients_alone():
    given, results = batch(text=True), []
    for task in (NextPoint(), NextPoint(k1=4)):
        loss_ = functools.partial(task.loss, WRITER)
        step = jax.jit(jax.grad(loss_, has_aux=True), static_argnums=4)
        grads, (_, sums) = step(params(WRITER), {}, given, KEY, True)
        results.append((grads, jax.device_get(sums)))
    (whole, sums), (short, again) = results
    for name in sums:
        np.testing.assert_allclose(again[name], sums[name], rtol=1e-5)
    differ = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), whole, short)
    assert max(jax.tree.leaves(differ)) > 1e-4


def test_the_baseline_is_one_gaussian_and_one_bernoulli():
    given = batch()
    moments = {"mean": [0.2, -0.1], "covariance": [[1.5, 0.3], [0.3, 0.7]], "bits": [0.4]}
    points = given["targets"][given["mask"] > 0]
    gaussian = multivariate_normal(moments["mean"], moments["covariance"])
    bits = points[:, 2] * np.log(0.4) + (1 - points[:, 2]) * np.log(0.6)
    expected = -np.mean(gaussian.logpdf(points[:, :2]) + bits)
    totals = metrics.add({}, jax.device_get(loss(MODEL)[1][1]))
    values = NextPoint().finish(totals, {"moments": moments}, None)
    assert values["baseline"] == pytest.approx(expected, rel=1e-5)
    assert {*values} == {"loss", "nats_per_sequence", "sse", "baseline"}


def test_a_drawing_goes_on_after_the_given_points_and_stops_at_its_end():
    task, biases = NextPoint(), np.zeros(40, np.float32)
    given = np.broadcast_to(batch(2)["targets"][:1, :5], (40, 5, 4)).copy()
    given[..., 3] = 0
    counts = np.full(40, 5)
    counts[20:] = 3
    text = np.zeros((40, 1), np.int32)
    drawn = jax.device_get(task.draw(trained(ENDING), text, biases, 30, given, counts))
    assert drawn.points.shape == (40, 30, 4)
    np.testing.assert_array_equal(drawn.points[:20, :5], given[:20])
    assert (drawn.points[20:, 3, :2] != given[20:, 3, :2]).all()
    for points, length in zip(drawn.points, drawn.lengths, strict=True):
        assert not points[length:].any() and not points[: length - 1, 3].any()
        assert length == 30 or points[length - 1, 3] == 1
    assert min(drawn.lengths) < 30 and min(drawn.lengths) > 3


def test_a_text_ends_where_its_window_has_left_it():
    model = WRITER.clone(advance=1.0)
    weights = params(WRITER)
    weights = weights | {"window_bias": jnp.array([0.0, 0, 2, 2, 0, 0])}
    state = trained(model)._replace(params=weights)
    text = np.array([[1, 2, 0, 0], [1, 2, 3, 0]], np.int32)
    drawn = jax.device_get(NextPoint().draw(state, text, np.zeros(2, np.float32), 20))
    assert 1 < drawn.lengths[0] < drawn.lengths[1] < 8  # about a character a point


def test_a_bias_makes_samples_alike():
    task, text = NextPoint(), np.zeros((200, 1), np.int32)
    wide, narrow = (
        jax.device_get(task.draw(trained(MODEL), text, np.full(200, b, np.float32), 3)).points
        for b in (0.0, 3.0)
    )
    assert narrow[:, 0, :2].std() < 0.3 * wide[:, 0, :2].std()


@pytest.mark.parametrize("model", [WRITER, ENDING])
def test_figures_are_written_as_png_and_svg(model, tmp_path):
    task, window = NextPoint(length=12, samples=2, biases=(0.0, 1.0)), bool(model.window)
    drawn = task.figures(trained(model), [batch(model.pens, window)], {}, final=True)
    names = {"samples", "biases", "primed", "density"} | ({"window"} if window else set())
    assert {*drawn} == names
    for name in names if window else ("primed",):
        assert drawn[name].write(tmp_path, name).stat().st_size > 1000
    assert (tmp_path / "primed.svg").read_text().count("<polyline") >= 2
    density = drawn["density"]
    assert density.density.sum() == pytest.approx(9, rel=1e-3)  # one for each point
    assert density.density.min() >= 0 and len(density.drawing) == 9


def test_sampling_is_refused_where_it_says_nothing():
    task = NextPoint(length=5)
    with pytest.raises(UserError, match="^prompt is needed: the text to write"):
        task.sample(trained(WRITER), [], 5, 1.0)
    with pytest.raises(UserError, match="^prompt is for a model with a window"):
        task.sample(trained(MODEL), [1], 5, 1.0)
    with pytest.raises(UserError, match="^top_k is for language models"):
        task.sample(trained(MODEL), [], 5, 1.0, top_k=3)
    result = dataclasses.replace(task, samples=1).sample(trained(WRITER), [1, 2], 5, 1.0)
    assert result.summary.startswith("4 drawings, of ")
    assert len(result.figures["sample"].drawings) == 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"biases": (-1.0,)}, "biases must be at least 0, got -1.0"),
        ({"biases": ()}, "biases must have a bias, got none"),
        ({"k2": 3}, "k2 must be at least k1=None, got 3"),
        ({"k1": 4, "k2": 3}, "k2 must be at least k1=4, got 3"),
        ({"length": 0}, "length must be at least 1, got 0"),
    ],
)
def test_impossible_values_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        NextPoint(**fields)
