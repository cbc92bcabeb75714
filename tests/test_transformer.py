"""The Transformer without torch: counts, causality, steps, past the context, refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers import attention_multi_head
from nets.layers.attention_multi_head import MultiHeadAttention
from nets.layers.decoding import decode, generate
from nets.layers.transformer_cache import mean_weights
from nets.transformer import Transformer, TransformerLM
from tests.support.checks import assert_close, jit

V, C = 7, 6
RNG = np.random.default_rng(0)
IDS = RNG.integers(1, V, (2, C))
SMALL = {"features": 8, "heads": 2, "layers": 2, "hidden": 12, "context": C}
KINDS = [("learned", "pre"), ("sinusoidal", "post"), ("rotary", "pre")]


def language_model(positions="learned", norm="pre", **fields):
    return TransformerLM(V, **SMALL | {"positions": positions, "norm": norm} | fields)


def translator(positions="sinusoidal", norm="post", **fields):
    return Transformer(V, V, **SMALL | {"positions": positions, "norm": norm} | fields)


def random_parameters(model, *inputs):
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), *inputs, train=False))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda a: np.float32(rng.normal(size=a.shape) * 0.7), shapes)


def size(model, *inputs):
    """The number of parameters, of which all layers have the same."""

    def count(layers):
        small = model.clone(layers=layers)
        shapes = jax.eval_shape(lambda: small.init(jax.random.key(0), *inputs, train=False))
        return sum(a.size for a in jax.tree.leaves(shapes))

    return count(1) + (model.layers - 1) * (count(2) - count(1))


def test_counts_are_the_published_ones():
    nano = TransformerLM(65, 384, 6, 6, context=256, use_bias=False)
    assert size(nano, IDS) == 10_745_088  # nanoGPT, train_shakespeare_char, with positions
    gpt2 = TransformerLM(50257, 768, 12, 12, context=1024)
    assert size(gpt2, IDS) == 124_439_808  # GPT-2, small, as its weights are published
    # the paper's base model, table 3: 65 million with 37,000 symbols; by hand of the same parts
    d, hidden, v = 512, 2048, 37_000
    attention, mlp = 4 * (d * d + d), 2 * d * hidden + d + hidden
    by_hand = 6 * (3 * attention + 2 * mlp + 5 * 2 * d) + v * d
    base = Transformer(v, v, d, 8, 6, hidden, share=True)
    assert size(base, IDS, IDS) == by_hand == 63_082_496


@pytest.mark.parametrize(("positions", "norm"), KINDS)
def test_logits_see_what_is_before_them_alone(positions, norm):
    model = language_model(positions, norm, tie=False)
    params = random_parameters(model, IDS)

    def logits(vectors):
        table = {"embedding": {**params["params"]["embedding"], "embedding": vectors}}
        variables = {"params": params["params"] | table}
        return model.apply(variables, np.arange(C)[None], train=False)[0][0].sum(-1)

    slopes = jit(jax.jacobian(logits))(params["params"]["embedding"]["embedding"])
    seen = np.abs(slopes).sum(-1)[:, :C] > 0  # [T, symbol], symbol t at position t
    np.testing.assert_array_equal(seen, np.tri(C, dtype=bool))


@pytest.mark.parametrize(("positions", "norm"), KINDS)
def test_steps_equal_the_whole(positions, norm):
    """From nothing, and after the first three symbols were read at once."""
    model = language_model(positions, norm)
    params = random_parameters(model, IDS)

    start, step = (jit(functools.partial(model.apply, method=m)) for m in ("start", "step"))

    whole, _ = jit(functools.partial(model.apply, train=False))(params, IDS)
    assert np.abs(np.diff(whole, axis=1)).max() > 0.1
    for read in (0, 3):
        memory, carry = start(params, IDS[:, :read])
        results = []
        for t in range(read, C):
            carry, *found = step(params, memory, carry, IDS[:, t])
            results.append(found)
        logits, weights = (np.stack(part, 1) for part in zip(*results, strict=True))
        assert_close(logits, whole[:, read:], 1e-5)
        seen = weights > 0  # of the latest symbols, the newest last
        np.testing.assert_array_equal(seen, np.broadcast_to(np.tri(C)[read:, ::-1] > 0, seen.shape))
        assert_close(weights.sum(-1), np.ones(weights.shape[:2]), 1e-6)


def test_the_older_half_is_forgotten_past_the_context():
    """Against a loop that reads what is left of the text anew for every symbol."""
    model = language_model()
    params, text = random_parameters(model, IDS), np.random.default_rng(2).integers(0, V, (2, 15))
    read = jit(functools.partial(model.apply, train=False))
    step = jit(functools.partial(model.apply, method="step"))
    memory, carry = model.apply(params, text[:, :0], method="start")
    left = 0
    for t in range(15):
        carry, logits, weights = step(params, memory, carry, text[:, t])
        left = C // 2 + 1 if left == C else left + 1
        whole, _ = read(params, text[:, t + 1 - left : t + 1])
        assert_close(logits, whole[:, -1], 1e-5)
        np.testing.assert_array_equal((weights > 0).sum(1), [left, left])
    draw = jit(functools.partial(generate, model), static_argnums=3)
    assert draw(params, jax.random.key(0), IDS[:, :2], 12, 0.0).shape == (2, 12)
    long = np.tile(IDS, 3)  # a prompt above the context: its end is read
    _, carry = jit(functools.partial(model.apply, method="start"))(params, long)
    _, end = jit(functools.partial(model.apply, method="start"))(params, IDS)
    assert_close(carry, end, 1e-6)


@pytest.mark.parametrize(("positions", "norm"), KINDS)
def test_translation_step_by_step_equals_the_whole(positions, norm):
    """With two slots for each source, as a beam has."""
    model = translator(positions, norm)
    inputs = np.array([[3, 1, 2, 5, 0, 0], [1, 6, 0, 4, 4, 4]])  # 0 ends a source
    params = random_parameters(model, inputs, IDS)
    targets = np.random.default_rng(2).integers(1, V, (4, C))

    memory, carry = jit(functools.partial(model.apply, method="start"))(params, inputs)
    carry = jax.tree.map(lambda a: jnp.repeat(a, 2, 0), carry)
    step, results = jit(functools.partial(model.apply, method="step")), []
    for t in range(C):
        symbols = targets[:, t - 1] if t else np.zeros(4, int)
        carry, *found = step(params, memory, carry, symbols)
        results.append(found)
    logits, weights = (np.stack(part, 1) for part in zip(*results, strict=True))

    def whole(params):
        sources = np.repeat(inputs, 2, 0)
        return model.apply(params, sources, targets, train=False, stages=True)

    expected, stages = jit(whole)(params)
    assert_close(logits, expected, 1e-5)
    assert_close(weights, stages["weights"], 1e-5)
    seen = weights[:, 0] > 0
    np.testing.assert_array_equal(seen.sum(1), [4, 4, 2, 2])  # of each source, up to its end
    assert stages["encoder"].shape == (4, C, 8)


def test_a_translation_past_the_context_is_read_from_its_newer_half():
    """With two slots for each source; what is read is read at once by the decoder's layers."""
    model, steps = translator(), 15
    inputs = np.array([[3, 1, 2, 5, 0, 0], [1, 6, 0, 4, 4, 4]])
    params = random_parameters(model, inputs, IDS)
    symbols = np.random.default_rng(2).integers(1, V, (4, steps))

    def whole(model, inputs, symbols):
        _, memory = model._encode(inputs, False)
        y, _, _, weights = model.decoder(model.embedding(symbols), None, memory, need_weights=True)
        return model._logits(y)[:, -1], mean_weights(weights)[:, -1]

    memory, carry = jit(functools.partial(model.apply, method="start"))(params, inputs)
    carry = jax.tree.map(lambda a: jnp.repeat(a, 2, 0), carry)
    step, whole = (jit(functools.partial(model.apply, method=m)) for m in ("step", whole))
    kept = 0
    for t in range(steps):
        carry, *found = step(params, memory, carry, symbols[:, t])
        kept = kept + 1 if kept < C else C // 2 + 1
        expected = whole(params, np.repeat(inputs, 2, 0), symbols[:, t + 1 - kept : t + 1])
        assert_close(found, [*expected], 1e-5)


def test_padding_of_a_source_changes_nothing():
    model = translator()
    inputs = np.array([[3, 1, 2, 0, 0, 0], [1, 6, 2, 0, 5, 4]])
    params = random_parameters(model, inputs, IDS)
    apply = jit(functools.partial(model.apply, train=False))
    assert_close(apply(params, inputs, IDS), apply(params, inputs[:, :4], IDS), 1e-5)


def test_beam_search_past_the_context_goes_on():
    model = translator(context=4)
    params = random_parameters(model, IDS[:, :4], IDS[:, :4])
    params["params"]["embedding"]["embedding"][0] = -3  # the end comes late, if at all
    search = jit(functools.partial(decode, model, length=9, beam=2))
    found = search(params, IDS[:, :4])
    assert found.symbols.shape == (2, 9) and found.weights.shape == (2, 9, 4)
    assert np.isfinite(found.score).all()


def test_dropout_acts_on_the_embeddings_and_on_each_part_of_a_layer():
    """Where next to everything is dropped, the bias of the last normalisation is left."""

    def noisy(model, *inputs):
        params = random_parameters(model, *inputs)
        apply = jit(functools.partial(model.apply, train=True, stages=True))
        noise = {"dropout": jax.random.key(0)}
        return params["params"], apply(params, *inputs, rngs=noise)

    def left(params, stack):
        return params[stack]["norm"]["bias"]

    params, (logits, *_) = noisy(language_model(dropout=1 - 1e-7), IDS)
    expected = params["embedding"]["embedding"] @ left(params, "decoder")
    assert_close(logits, np.broadcast_to(expected, logits.shape), 1e-5)
    params, (logits, stages) = noisy(translator(norm="pre", dropout=1 - 1e-7), IDS, IDS)
    expected = params["embedding"]["embedding"] @ left(params, "decoder")
    assert_close(logits, np.broadcast_to(expected, logits.shape), 1e-5)
    encoded = stages["encoder"]
    assert_close(encoded, np.broadcast_to(left(params, "encoder"), encoded.shape), 1e-5)


def test_dropout_acts_in_training_alone():
    model = language_model(dropout=0.5)
    params = random_parameters(model, IDS)

    def logits(key, train, model=model):
        noise = {"dropout": jax.random.key(key)}
        return model.apply(params, IDS, train=train, rngs=noise)[0]

    quiet, noisy, other = (jit(logits, static_argnums=1)(*a) for a in ((0, 0), (0, 1), (1, 1)))
    assert np.abs(noisy - quiet).min() > 0 and np.abs(noisy - other).min() > 0
    weights = language_model(attention_dropout=0.5)
    noisy = jit(functools.partial(logits, 0, True, weights))()
    assert np.abs(noisy - quiet).max() > 0.01


def test_dropped_weights_are_scaled_and_independent_between_heads():
    layer = MultiHeadAttention(400, 400, dropout=0.25, use_bias=False)
    x, one = np.ones((1, 1, 1), np.float32), np.ones((1, 400), np.float32)
    params = {part: {"kernel": one} for part in ("query", "key", "value")}
    params["out"] = {"kernel": np.eye(400, dtype=np.float32)}
    noise = {"dropout": jax.random.key(0)}
    y, weights = layer.apply({"params": params}, x, train=True, rngs=noise)
    kept = np.asarray(y[0, 0]) > 0
    assert_close(y[0, 0][kept], np.full(kept.sum(), 4 / 3), 1e-5)
    assert kept.mean() == pytest.approx(0.75, abs=0.1)
    assert_close(weights, np.ones((1, 400, 1, 1)), 1e-6)


def test_fused_attention_is_the_same_function(monkeypatch):
    """`jax.nn.dot_product_attention`, here by its own plain code instead of cuDNN's."""
    plain = functools.partial(jax.nn.dot_product_attention)

    def on_any_device(*arrays, implementation, **options):
        assert implementation == "cudnn"
        return plain(*arrays, implementation="xla", **options)

    model, fused = language_model(), language_model(backend="cudnn")
    params = random_parameters(model, IDS)
    expected = jit(functools.partial(model.apply, train=False))(params, IDS)
    monkeypatch.setattr(jax.nn, "dot_product_attention", on_any_device)
    monkeypatch.setattr(attention_multi_head, "check_fused", lambda dtype: None)
    assert_close(jit(functools.partial(fused.apply, train=False))(params, IDS), expected, 1e-5)
    layer, x = MultiHeadAttention(8, 2), jax.random.normal(jax.random.key(1), (2, 3, 8))
    mask = np.array([[True, False, True], [False] * 3])  # the second row attends to nothing
    variables = layer.init(jax.random.key(2), x)
    (y, _), (fast, _) = (
        m.apply(variables, x, mask=mask, need_weights=False)
        for m in (layer, layer.clone(backend="cudnn"))
    )
    assert_close(fast, y, 1e-5)
    assert not y[1].any()


def test_what_a_new_model_starts_from():
    model = TransformerLM(40, 64, 4, 8, context=16)
    params = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), IDS)["params"]
    block = params["decoder"]["layer_3"]
    assert np.std(params["embedding"]["embedding"]) == pytest.approx(0.02, rel=0.1)
    for part, std in (("mlp_in", 0.02), ("mlp_out", 0.02 / 4)):
        assert np.std(block[part]["kernel"]) == pytest.approx(std, rel=0.1)
    assert np.std(block["attention"]["out"]["kernel"]) == pytest.approx(0.02 / 4, rel=0.1)
    assert np.std(block["attention"]["query"]["kernel"]) == pytest.approx(0.02, rel=0.1)


def test_what_an_output_layer_of_its_own_starts_from():
    for model, inputs, std in [
        (TransformerLM(200, 64, 4, 1, tie=False), (IDS,), 0.02),
        (Transformer(200, 200, 64, 4, 1, tie=False), (IDS, IDS), (2 / (64 + 200)) ** 0.5),
    ]:
        init = jax.jit(functools.partial(model.init, train=False))
        params = init(jax.random.key(0), *inputs)["params"]
        assert np.std(params["output"]["kernel"]) == pytest.approx(std, rel=0.05)


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (language_model(), (np.zeros((1, 9), int),), "at most context=6 symbols, got 9"),
        (translator(), (np.zeros((1, 9), int), IDS[:1]), "at most context=6 symbols, got 9"),
        (translator(), (IDS[:1], np.zeros((1, 9), int)), "at most context=6 symbols, got 9"),
        (TransformerLM(None), (IDS,), "TransformerLM.vocab_size must be at least 1, got None"),
        (Transformer(None, V), (IDS, IDS), "Transformer.num_classes must be at least 1, got None"),
        (Transformer(V, None), (IDS, IDS), "Transformer.vocab_size must be at least 1, got None"),
        (translator(), (IDS, IDS[:1]), "inputs and targets must have as many rows, got shapes"),
        (language_model(), (IDS[0],), r"symbols must be integers \[B, T\], got int"),
        (language_model(), (IDS * 0.5,), r"symbols must be integers \[B, T\], got float"),
        (language_model(hidden=0), (IDS,), "hidden must be at least 1, got 0"),
        (language_model(features=0), (IDS,), "features must be at least 1, got 0"),
        (translator(features=-8), (IDS, IDS), "features must be at least 1, got -8"),
        (translator(), (IDS[0], IDS[0]), r"symbols must be integers \[B, T\], got int"),
        (language_model(context=1), (IDS,), "context must be at least 2, got 1"),
        (language_model(norm="both"), (IDS,), "norm must be one of pre, post, got 'both'"),
        (language_model(heads=3), (IDS,), "heads must divide features=8, got 3"),
        (language_model(layers=0), (IDS,), "layers must be at least 1, got 0"),
        (language_model(backend="fast"), (IDS,), "backend must be one of xla, cudnn, got 'fast'"),
        (language_model(backend="cudnn"), (IDS,), "backend='cudnn' needs a GPU, got a cpu"),
        (language_model(dropout=1.5), (IDS,), r"dropout must be in \[0, 1\), got 1.5"),
        (
            translator(attention_dropout=1.0),
            (IDS, IDS),
            r"attention_dropout must be in \[0, 1\), got 1.0",
        ),
        (
            Transformer(V, V + 1, **SMALL, share=True),
            (IDS, IDS),
            "one vocabulary for both languages, got vocab_size=8 and num_classes=7",
        ),
    ],
)
def test_what_is_refused(model, inputs, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: model.init(jax.random.key(0), *inputs, train=False))
