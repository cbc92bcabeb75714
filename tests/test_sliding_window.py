"""A sliding window: dense by convolution equals window by window; windows and loss by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.layers.detections import Objects
from nets.sliding_window import SlidingWindow, axis_weights, crop_window, resample, window_grid
from nets.tasks.detection_metrics import iou

SIZES = ((24, 24), (30, 15))


def made(image_size=(64, 80), **fields):
    model = SlidingWindow(num_classes=3, sizes=SIZES, widths=(4, 6, 8), **fields)
    x = jax.random.normal(jax.random.key(1), (2, *image_size, 2))
    return model, model.init(jax.random.key(0), x, train=False), x


def by_window(model, variables, image, boxes):
    """Logits [N, K + 1] of boxes [N, 4], each window cut out by itself."""
    windows = jax.vmap(lambda box: crop_window(image, box))(jnp.array(boxes))
    return np.array(model.apply(variables, windows, method="classify")[:, 0, 0])


@pytest.mark.parametrize("size", SIZES)
def test_a_dense_network_gives_what_fully_connected_layers_give_of_each_window(size):
    model, variables, x = made()
    rows, columns = (axis_weights(n, side) for n, side in zip(x.shape[1:3], size, strict=True))
    dense = model.apply(variables, resample(x, rows, columns), method="classify")
    p = variables["params"]

    def alone(box):
        h = crop_window(x[1], box)[None]
        for name in ("conv1", "conv2"):
            h = jax.lax.conv_general_dilated(
                h, p[name]["kernel"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            h = nn.relu(h + p[name]["bias"][None, None, None])
            h = h.reshape(1, h.shape[1] // 2, 2, h.shape[2] // 2, 2, -1).max((2, 4))
        h = h.reshape(-1) @ p["fc1"]["kernel"].reshape(-1, 8) + p["fc1"]["bias"]
        return nn.relu(h) @ p["output"]["kernel"].reshape(8, 4) + p["output"]["bias"]

    boxes = window_grid(x.shape[1:3], size)
    expected = jax.vmap(alone)(boxes)
    assert dense[1].size == expected.size == len(boxes) * 4
    np.testing.assert_allclose(dense[1].reshape(-1, 4), expected, atol=1e-5)


def test_a_window_of_the_boxs_own_scale_is_cut_out_of_the_image():
    image = np.random.default_rng(0).normal(size=(40, 50, 1)).astype(np.float32)
    window = crop_window(jnp.array(image), jnp.array([20.0, 0, 44, 24]))
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="edge")
    np.testing.assert_allclose(window, padded[0:32, 20:52], atol=1e-5)


def test_a_window_twice_as_large_sees_every_second_pixel_of_a_ramp():
    ramp = jnp.broadcast_to(jnp.arange(100.0)[None, :, None], (100, 100, 1))
    window = crop_window(ramp, jnp.array([26.0, 26, 74, 74]))  # whose pixels are 2 wide, from 18 on
    np.testing.assert_allclose(window[3, :, 0], 18.5 + 2 * np.arange(32), rtol=1e-5)


def test_boxes_lie_on_a_grid_inside_the_image():
    boxes = np.array(window_grid((30, 40), (12, 24)))
    # down: 12 / 24 * 4 = 2 pixels apart, from 0 to 18; across 4 apart, from 0 to 16
    assert len(boxes) == 10 * 5
    assert boxes[0].tolist() == [0, 0, 24, 12] and boxes[-1].tolist() == [16, 18, 40, 30]
    assert boxes[6].tolist() == [4, 2, 28, 14]


def test_the_loss_is_the_cross_entropy_of_the_labelled_windows():
    model, variables, x = made(windows_per_image=400, high=0.5, low=0.3)
    true = np.array([[[10, 12, 36, 34], [50, 20, 66, 52]], [[0, 0, 0, 0]] * 2], np.float32)
    objects = Objects(jnp.array(true), jnp.array([[2, 0], [-1, -1]]))
    loss = model.apply(
        variables, x, objects, train=True, method="losses", rngs={"sample": jax.random.key(3)}
    )["classes"]
    boxes = np.concatenate([window_grid(x.shape[1:3], size) for size in SIZES])
    for image in (0, 1):
        overlap = iou(boxes, true[image])
        logits = by_window(model, variables, x[image], boxes)
        terms = []
        for i in range(len(boxes)):
            best = int(overlap[i].argmax())
            is_best = overlap[i, best] > 0 and (overlap[i] == overlap.max(0)).any()
            if image == 0 and (overlap[i, best] >= 0.5 or is_best):
                label = 1 + [2, 0][best]
            elif overlap[i, best] < 0.3:
                label = 0
            else:
                continue
            terms.append(-jax.nn.log_softmax(logits[i])[label])
        np.testing.assert_allclose(loss[image], np.mean(terms), rtol=1e-5)


def test_detections_are_the_windows_of_the_highest_scores():
    model, variables, x = made(min_score=0.0, limit=4, nms_iou=0.3)
    found = model.apply(variables, x, method="detect")
    boxes = np.concatenate([window_grid(x.shape[1:3], size) for size in SIZES])
    scores = jax.nn.softmax(by_window(model, variables, x[0], boxes))[:, 1:]
    best, k = np.unravel_index(np.argmax(scores), scores.shape)
    np.testing.assert_allclose(found.boxes[0, 0], boxes[best], atol=1e-5)
    assert found.classes[0, 0] == k
    np.testing.assert_allclose(found.scores[0, 0], np.max(scores), rtol=1e-5)


def test_bad_input_is_named():
    model = SlidingWindow(num_classes=3, sizes=((40, 20),))
    with pytest.raises(ValueError, match="at least 40 x 40 pixels"):
        jax.eval_shape(
            lambda: model.init(jax.random.key(0), jnp.zeros((1, 32, 64, 1)), train=False)
        )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_classes": 0}, "SlidingWindow.num_classes must be at least 1, got 0"),
        ({"widths": (16, 32)}, r"SlidingWindow.widths must have 3 values, got \(16, 32\)"),
        ({"widths": (16, 0, 8)}, "SlidingWindow.widths must be at least 1, got 0"),
        ({"sizes": ()}, r"len\(SlidingWindow.sizes\) must be at least 1, got 0"),
        ({"sizes": ((9,),)}, r"SlidingWindow.sizes must have 2 values, got \(9,\)"),
        ({"limit": 0}, "SlidingWindow.limit must be at least 1, got 0"),
        ({"nms_iou": 7}, "SlidingWindow.nms_iou must be at least 0 and at most 1, got 7"),
        ({"windows_per_image": 0}, "SlidingWindow.windows_per_image must be at least 1, got 0"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, message):
    model, x = SlidingWindow(**{"num_classes": 3} | fields), jnp.zeros((1, 64, 64, 1))
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
