import json
import resource
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from nets.gru import MGU
from nets.inspect.summary import describe, render
from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM
from nets.tasks.detect import Detect
from nets.yolo import YOLO


class Images:
    """A stand-in task: labels of images; its metric has a matrix product that is no cost."""

    def init(self, model, key, batch):
        variables = model.init(key, batch["inputs"], train=False)
        return variables["params"], {k: v for k, v in variables.items() if k != "params"}

    def loss(self, model, params, model_state, batch, key, train):
        logits, updated = model.apply(
            {"params": params, **model_state},
            batch["inputs"],
            train=train,
            rngs={"dropout": key},
            mutable=list(model_state),
        )
        hits = jax.nn.one_hot(batch["targets"], 10)
        metrics = {"confusion": (hits.T @ hits, len(logits))}
        picked = jnp.take_along_axis(nn.log_softmax(logits), batch["targets"][:, None], 1)
        return -picked.mean(), (updated, metrics)


class Text:
    """A stand-in task: scores of token sequences."""

    def init(self, model, key, batch):
        return model.init(key, batch["inputs"])["params"], {}

    def loss(self, model, params, model_state, batch, key, train):
        outputs = model.apply({"params": params}, batch["inputs"])
        return jax.tree.leaves(outputs)[-1].mean(), ({}, {})


class LeNet(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        for features in (6, 16):
            x = nn.Conv(features, (5, 5), padding="VALID")(x)
            x = nn.avg_pool(nn.tanh(x), (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        for features in (120, 84):
            x = nn.tanh(nn.Dense(features)(x))
        return nn.Dense(10)(nn.Dropout(0.5, deterministic=not train)(x))


class Vgg16(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        for times, features in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
            for _ in range(times):
                x = nn.relu(nn.Conv(features, (3, 3))(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        for features in (4096, 4096):
            x = nn.relu(nn.Dense(features)(x))
        return nn.Dense(1000)(x)


def images(batch, side, channels=1):
    return {
        "inputs": jax.ShapeDtypeStruct((batch, side, side, channels), jnp.float32),
        "targets": jax.ShapeDtypeStruct((batch,), jnp.int32),
    }


def tokens(batch, length):
    return {"inputs": jax.ShapeDtypeStruct((batch, length), jnp.int32)}


def lenet(batch=128):
    config = {"model": "LeNet", "model.widths": [6, 16], "patience": None}
    return describe(LeNet(), Images(), optax.adam(1e-3), images(batch, 32), config)


def column(description, key):
    return {row["path"]: row[key] for row in description["layers"]}


def test_lenet_equals_the_published_counts():
    found = lenet()
    assert column(found, "parameters") == {
        "model": 0,
        "Conv_0": 156,
        "Conv_1": 2416,
        "Dense_0": 48120,
        "Dense_1": 10164,
        "Dropout_0": 0,
        "Dense_2": 850,
    }
    assert found["parameters"] == 61_706
    # 28x28 places of 25 weights for 6 maps, 10x10 of 150 for 16, then the matrices
    assert found["multiply_adds"] == 117_600 + 240_000 + 48_000 + 10_080 + 840
    assert found["receptive_field"] == {"size": [16, 16], "stride": [4, 4]}
    assert found["sequence_length"] is None


def test_the_classes_of_an_images_objects_are_no_sequence():
    batch = {"inputs": (2, 64, 64, 1), "boxes": (2, 5, 4), "targets": (2, 5)}
    batch = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in batch.items()}
    batch["targets"] = jax.ShapeDtypeStruct((2, 5), jnp.int32)
    found = describe(YOLO("small", num_classes=3), Detect(), optax.sgd(1e-3), batch, {}, shapes=3)
    assert found["sequence_length"] is None
    assert "multiply-adds, one example" in render(found)
    assert "shapes of training batches  at most 3" in render(found)
    assert "shapes" not in render(found | {"shapes": 1})


def test_layers_show_the_outputs_of_the_batch_in_the_order_of_the_calls():
    found = lenet(batch=7)
    assert list(column(found, "output").items()) == [
        ("model", [[7, 10]]),
        ("Conv_0", [[7, 28, 28, 6]]),
        ("Conv_1", [[7, 10, 10, 16]]),
        ("Dense_0", [[7, 120]]),
        ("Dense_1", [[7, 84]]),
        ("Dropout_0", [[7, 84]]),
        ("Dense_2", [[7, 10]]),
    ]
    assert column(found, "type")["Dropout_0"] == "Dropout"


def test_memory_by_hand():
    class Sines(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            x = inputs.astype(jnp.float32)
            return nn.Dense(3, use_bias=False)(jnp.sin(nn.Dense(7, use_bias=False)(x)))

    momentum = optax.sgd(1e-3, momentum=0.9)
    found = describe(Sines(), Text(), momentum, tokens(4, 5), {})
    assert found["parameters"] == 5 * 7 + 7 * 3
    assert found["parameter_bytes"] == found["optimizer_bytes"] == 4 * (5 * 7 + 7 * 3)
    # the inputs as floats [4, 5], sine and cosine [4, 7] each; the mean keeps nothing
    assert found["activation_bytes"] == 4 * (4 * 5 + 2 * 4 * 7)
    assert found["state_bytes"] == 0


def test_activations_are_those_of_training():
    class Dropped(nn.Module):
        rate: float

        @nn.compact
        def __call__(self, x, *, train):
            x = nn.Dense(10)(x.reshape(x.shape[0], -1))
            return nn.Dropout(self.rate, deterministic=not train)(x)

    kept, dropped = (
        describe(Dropped(rate), Images(), optax.sgd(1e-3), images(4, 8), {})["activation_bytes"]
        for rate in (0.0, 0.5)
    )
    assert dropped - kept == 4 * 10  # which units were dropped, a byte each


def test_batch_statistics_are_state_and_no_parameters():
    class Normed(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            x = nn.BatchNorm(use_running_average=not train)(nn.Conv(5, (3, 3))(x))
            return nn.Dense(10)(x.mean((1, 2)))

    found = describe(Normed(), Images(), optax.adam(1e-3), images(4, 8), {})
    assert found["state_bytes"] == 4 * 2 * 5
    assert column(found, "parameters")["BatchNorm_0"] == 2 * 5
    assert found["parameters"] == 50 + 10 + 60
    assert found["optimizer_bytes"] == 2 * found["parameter_bytes"] + 4  # two moments, one counter


def test_shared_and_nested_modules_and_own_parameters_add_up():
    class State(NamedTuple):
        c: jax.Array
        h: jax.Array

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            scale = self.param("scale", nn.initializers.ones, (4,))
            x = nn.Dense(4)(x) * scale[None, None]
            return State(x, x[:, 0]), x

    class Net(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            x = nn.Embed(9, 4)(inputs)
            table = self.param("table", lambda key: {"a": jnp.ones(3), "b": jnp.ones(2)})
            block = Block(name="block")
            for _ in range(3):
                state, x = block(x)
            return state, x + table["a"].sum()

    found = describe(Net(), Text(), optax.sgd(1e-3), tokens(2, 6), {})
    assert column(found, "parameters") == {
        "model": 3 + 2,
        "Embed_0": 36,
        "block": 4,
        "block/Dense_0": 20,
    }
    assert found["parameters"] == sum(column(found, "parameters").values()) == 65
    assert column(found, "output")["block"] == [[2, 6, 4], [2, 4], [2, 6, 4]]
    assert "2 x [2, 6, 4], [2, 4]" in render(found)


def test_a_scanned_lstm_costs_in_proportion_to_its_length():
    class Recurrent(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            return nn.RNN(nn.OptimizedLSTMCell(8))(nn.Embed(9, 4)(inputs))

    short, long = (
        describe(Recurrent(), Text(), optax.sgd(1e-3), tokens(3, length), {})
        for length in (10, 100)
    )
    assert short["multiply_adds"] == 10 * (4 + 8) * 4 * 8
    assert long["multiply_adds"] == 100 * (4 + 8) * 4 * 8
    assert (short["sequence_length"], long["sequence_length"]) == (10, 100)
    assert sum(column(long, "parameters").values()) == long["parameters"] == 36 + (4 + 8 + 1) * 32


def test_the_backend_of_a_recurrent_layer_and_why_none_faster():
    def shown(cell, backend="auto"):
        layer = Recurrent(cell, backend=backend)
        batch = {"inputs": jax.ShapeDtypeStruct((2, 6, 3), jnp.float32)}
        found = describe(layer, Text(), optax.sgd(1e-3), batch, {})
        (line,) = [x for x in render(found).splitlines() if x.startswith("backend of model")]
        return line.partition("model")[2].strip()

    assert shown(LSTM(4)) == "fused (not cudnn: there is no GPU)"
    whole = "not fused: a step of MGU is more than one matmul with h"
    assert shown(MGU(4)) == f"scan (not cudnn: there is no GPU; {whole})"
    assert shown(LSTM(4), "scan") == "scan"


def test_a_loop_of_unknown_length_is_unbounded():
    class Settling(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            w = self.param("w", nn.initializers.ones, (5, 5))
            x = jax.lax.stop_gradient(inputs.astype(jnp.float32))

            def step(x):
                return jnp.tanh(x @ jax.lax.stop_gradient(w))

            return jax.lax.while_loop(lambda x: x.sum() > 1, step, x) @ w

    found = describe(Settling(), Text(), optax.sgd(1e-3), tokens(2, 5), {})
    assert found["multiply_adds"] == "unbounded"
    assert "unbounded" in render(found)


def test_138_million_parameters_are_described_without_being_allocated():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = describe(Vgg16(), Images(), optax.adam(1e-3), images(256, 224, 3), {})
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert found["parameters"] == 138_357_544  # torchvision
    assert round(found["multiply_adds"] / 1e9, 2) == 15.47  # torchvision
    assert found["receptive_field"] == {"size": [212, 212], "stride": [32, 32]}
    assert grown < 200 * 1024 < 4 * 138_357_544 / 1024


def test_text_says_everything_in_whole_lines():
    found = lenet()
    lines = render(found).splitlines()
    assert "model.widths  6,16" in lines
    assert "patience      none" in lines
    for row in found["layers"]:
        (line,) = [x for x in lines if x.startswith(row["path"] + " ") and "[" in x]
        assert line.split() == [
            row["path"],
            row["type"],
            *str(row["output"][0]).split(),
            f"{row['parameters']:,}",
        ]
    ends = {len(x) for x in lines if x.endswith(("61,706", "48,120", "2,416", "156"))}
    assert len(ends) == 1  # numbers stand under one another
    assert "multiply-adds, one example  416,520" in lines
    assert "parameters                  0.24 MiB" in lines
    assert "receptive field             16 x 16 pixels, stride 4 x 4" in lines


def test_description_is_json():
    found = lenet()
    assert json.loads(json.dumps(found)) == found
