"""Kim's convolution over words against a loop, and its count."""

import jax
import numpy as np
import pytest

from nets.text_cnn import TextCNN

RNG = np.random.default_rng(0)
LENGTHS = (7, 3, 1)
WORDS = np.array([[*RNG.integers(1, 9, n), *[0] * (7 - n)] for n in LENGTHS])
MODEL = TextCNN(num_classes=3, vocab_size=9, embedding=5, features=6, windows=(2, 3, 4))


@pytest.fixture(scope="module")
def params():
    params = MODEL.init(jax.random.key(0), WORDS, train=False)["params"]
    return jax.tree.map(lambda a: a + 0.3 * RNG.normal(size=a.shape).astype(np.float32), params)


def test_logits_and_weights_equal_a_loop(params):
    logits, stages = MODEL.apply({"params": params}, WORDS, train=False, stages=True)
    weights = jax.tree.map(np.asarray, params)
    for row, length in enumerate(LENGTHS):
        maxima, shares = [], np.zeros(7)
        words = weights["words"]["embedding"][WORDS[row, :length]]
        for k in MODEL.windows:
            kernel, bias = weights[f"conv_{k}"]["kernel"], weights[f"conv_{k}"]["bias"]
            x = np.pad(words, ((k - 1, k - 1), (0, 0)))  # all windows with one word at least
            c = np.array(
                [np.einsum("kd,kdf->f", x[i : i + k], kernel) for i in range(len(x) - k + 1)]
            )
            c = np.maximum(c + bias, 0)
            maxima.append(c.max(0))
            middles = c.argmax(0) - (k - 1) // 2
            for middle in middles[(middles >= 0) & (middles < 7)]:
                shares[middle] += 1 / (3 * 6)
        z = np.concatenate(maxima)
        np.testing.assert_allclose(stages["features"][row], z, atol=1e-5)
        np.testing.assert_allclose(stages["weights"][row], shares, atol=1e-6)
        expected = z @ weights["output"]["kernel"] + weights["output"]["bias"]
        np.testing.assert_allclose(logits[row], expected, atol=1e-5)


def test_padding_changes_nothing(params):
    variables = {"params": params}
    longer = np.pad(WORDS, ((0, 0), (0, 5)))
    plain = MODEL.apply(variables, WORDS, train=False)
    np.testing.assert_allclose(MODEL.apply(variables, longer, train=False), plain, atol=1e-5)


def test_the_published_network_by_its_layers():
    model = TextCNN(num_classes=2, vocab_size=100)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), WORDS, train=False))["params"]
    sizes = {name: sum(a.size for a in jax.tree.leaves(tree)) for name, tree in shapes.items()}
    filters = {f"conv_{k}": k * 300 * 100 + 100 for k in (3, 4, 5)}
    assert sizes == {"words": 100 * 300, "output": 300 * 2 + 2} | filters


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"windows": ()}, "windows must be at least 1, got 0"),
        ({"windows": (3, 0)}, "windows must be at least 1, got 0"),
        ({"features": 0}, "features must be at least 1, got 0"),
        ({"word_dropout": -0.1}, r"word_dropout must be in \[0, 1\), got -0.1"),
    ],
)
def test_what_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: MODEL.clone(**fields).init(jax.random.key(0), WORDS, train=False))
