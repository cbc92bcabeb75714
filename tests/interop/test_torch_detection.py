"""Faster R-CNN beside torchvision's own, with the same weights."""

import functools

import jax
import numpy as np
import pytest

from nets.faster_rcnn import FasterRCNNResNet50FPN
from nets.interop.torch_detection import detector_from_torch, detector_to_torch

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
HEIGHT, WIDTH, CLASSES = 90, 120, 4  # no multiples of the strides


@pytest.fixture(scope="module")
def twins():
    from tests.support import torchvision_ops

    detection = torchvision_ops.detection()
    torch.manual_seed(0)
    twin = detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES + 1, min_size=HEIGHT,
        max_size=WIDTH, image_mean=[0, 0, 0], image_std=[1, 1, 1], box_score_thresh=0.0,
        rpn_pre_nms_top_n_test=200, rpn_post_nms_top_n_test=60, box_detections_per_img=40,
    ).eval()  # fmt: skip
    with torch.no_grad():  # scores that differ, so that their order is not one of rounding
        for module in twin.backbone.body.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for tensor in (module.weight, module.running_var):
                    tensor.uniform_(0.6, 1.2)
                for tensor in (module.bias, module.running_mean):
                    tensor.normal_(0, 0.1)
        twin.rpn.head.cls_logits.weight *= 5
        twin.rpn.head.bbox_pred.weight *= 4
        twin.roi_heads.box_predictor.cls_score.weight *= 2
        twin.roi_heads.box_predictor.bbox_pred.weight *= 10
    model = FasterRCNNResNet50FPN(
        num_classes=CLASSES, min_score=0.0, candidates=(200, 200), proposals=(60, 60), limit=40
    )
    x = np.random.default_rng(0).normal(size=(1, HEIGHT, WIDTH, 3)).astype(np.float32)
    shapes = jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), x)
    return twin, model, detector_from_torch(twin.state_dict(), model, shapes), x


def test_the_weights_come_back(twins):
    twin, model, variables, _ = twins
    back = detector_to_torch(variables, model)
    expected = {k: a for k, a in twin.state_dict().items() if "num_batches" not in k}
    assert back.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(back[name], tensor.numpy())


def test_proposals_boxes_and_scores_are_torchvisions(twins):
    twin, model, variables, x = twins
    proposals = []
    twin.rpn.register_forward_hook(lambda module, args, output: proposals.append(output[0][0]))
    with torch.no_grad():
        expected = twin([torch.tensor(x[0]).permute(2, 0, 1)])[0]

    def run(variables, x):
        def whole(model):
            return model.proposals_of(x)[1], model.detect(x)

        return model.apply(variables, method=whole)

    regions, found = jax.jit(run)(variables, x)
    count = int(regions.valid[0].sum())
    assert count == len(proposals[0]) > 20
    np.testing.assert_allclose(regions.boxes[0, :count], proposals[0], atol=0.02)
    count = int((found.classes[0] >= 0).sum())
    assert count == len(expected["boxes"]) == 40
    np.testing.assert_allclose(found.scores[0], expected["scores"], atol=1e-4)
    np.testing.assert_array_equal(found.classes[0] + 1, expected["labels"])
    np.testing.assert_allclose(found.boxes[0], expected["boxes"], atol=0.05)
