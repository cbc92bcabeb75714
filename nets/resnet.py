"""ResNet and its variants: pre-activation, ResNeXt, Wide ResNet, squeeze-and-excite.

He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016, and Identity
Mappings in Deep Residual Networks, ECCV 2016. Xie et al., Aggregated Residual Transformations for
Deep Neural Networks, CVPR 2017. Hu et al., Squeeze-and-Excitation Networks, CVPR 2018.
"""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_choice, check_probability
from nets.layers.classification_head import classification_head, conv_and_norm
from nets.layers.conv import HE
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.drop_path import linear_rates
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.norm import FrozenBatchNorm
from nets.layers.pooling import max_pool
from nets.layers.residual import ConvSpec, ResidualBlock, residual_stage
from nets.layers.squeeze_excite import SqueezeExcite
from nets.types import KernelInit

Block = Literal["basic", "bottleneck"]
Version = Literal["v1", "v1.5", "v2"]


class ResNet(nn.Module):
    """ResNet, by default ResNet-50 for images of about 224 x 224.

    7x7 convolution of stride 2, 3x3 max pooling of stride 2, stages of residual blocks, global
    average pooling, linear classifier. The first block of every stage but the first has stride 2.
    Small images can have a smaller stem, `stem_window=3, stem_strides=1`. Names are torchvision's.
    Stages: stem [B, H/4, W/4, width], layer1 [B, H/4, W/4, C'], layer2 with half the height and
    width, and so on; features [B, C], where C is width * 2^(stages - 1), times 4 with bottlenecks.

    Convolutions are initialised as in He et al. 2015 (truncated normal, by fan-out), the classifier
    as LeCun normal.

    `scan_blocks` is for networks of very many blocks: it shortens compilation, and steps are
    somewhat slower on a CPU (`tests/benchmarks/depth.py`). `nets.layers.scan_blocks` converts the
    variables.

    >>> model, x = ResNet(num_classes=10), jnp.zeros((2, 64, 64, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        layers: number of blocks in each stage.
        block: basic is two 3x3 convolutions, bottleneck is 1x1, 3x3 and 1x1.
        version: in v1 the first convolution of a bottleneck has its stride (He et al. 2015), in
            v1.5 the 3x3 one (torchvision); v2 is v1.5 with pre-activation (He et al. 2016) and a
            last normalisation "norm". Basic blocks are the same in v1 and v1.5.
        stem_window: height and width of the stem's convolution.
        stem_strides: stride of the stem's convolution.
        width: channels of the stem and, before the expansion by 4, of the first stage.
        groups: groups of the bottlenecks' 3x3 convolution (ResNeXt).
        width_per_group: channels of each group in the first stage, 64 in a plain ResNet; doubled in
            each later stage (ResNeXt, Wide ResNet).
        squeeze_excite: reduction ratio of a squeeze-and-excite layer at the end of each branch.
            None means no such layer.
        dilated_stages: number of last stages whose stride is replaced by dilation, as in
            segmentation (Yu and Koltun 2016; torchvision's replace_stride_with_dilation): the maps
            stay as large as those of the stage before them, and the parameters are the same.
        drop_path: probability of dropping the last branch while training, independently for each
            row; those of earlier branches grow linearly from 0 (stochastic depth, Huang et al.
            2016).
        zero_init: whether every branch is initialised to be zero.
        scan_blocks: whether all blocks of a stage but the first run as one scan.
        frozen_norm: whether normalisation is by stored statistics that training leaves alone
            (`nets.layers.norm.FrozenBatchNorm`), as in detectors.
        num_classes: number of classes. None means that the data fills it in; 0 means no classifier,
            and `features` as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    layers: tuple[int, ...] = (3, 4, 6, 3)
    block: Block = "bottleneck"
    version: Version = "v1.5"
    stem_window: int = 7
    stem_strides: int = 2
    width: int = 64
    groups: int = 1
    width_per_group: int = 64
    squeeze_excite: int | None = None
    dilated_stages: int = 0
    drop_path: float = 0.0
    zero_init: bool = False
    scan_blocks: bool = False
    frozen_norm: bool = False
    num_classes: int | None = None
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Needs the key `dropout` while training, if `drop_path` is above 0.

        Raises:
            ValueError: x is not [B, H, W, C]; `block` or `version` is unknown; basic blocks have
                groups or a width per group; `dilated_stages` includes the first stage; `drop_path`
                is not in [0, 1); or `num_classes` is None.
        """
        check_images(self, x, 1)
        self._check()
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        if self.frozen_norm:
            norm = functools.partial(
                FrozenBatchNorm, dtype=self.dtype, param_dtype=self.param_dtype
            )
        outputs, preactivated = {}, self.version == "v2"
        window, padding = (self.stem_window,) * 2, self.stem_window // 2
        made = {"conv": conv, "norm": norm, "names": ("conv1", "bn1")}
        x = conv_norm_act(x, self.width, window, self.stem_strides, padding, **made)
        outputs["stem"] = x = max_pool(x, 3, 2, 1)
        gates = self._gates(len(x)) if train and self.drop_path else None
        done, dilation = 0, 1
        for stage, blocks in enumerate(self.layers):
            dilated = stage >= len(self.layers) - self.dilated_stages
            block = functools.partial(
                ResidualBlock,
                conv=conv,
                norm=norm,
                preactivated=preactivated,
                zero_init=self.zero_init,
            )
            first = functools.partial(
                block,
                **self._branch(stage, dilation),
                strides=1 if stage == 0 or dilated else 2,
                activated=preactivated and stage == 0,
            )
            dilation *= 2 if dilated else 1
            rest = functools.partial(block, **self._branch(stage, dilation))
            stage_gates = None if gates is None else gates[done : done + blocks]
            name = f"layer{stage + 1}"
            x = residual_stage(x, name, blocks, first, rest, stage_gates, scan=self.scan_blocks)
            outputs[name], done = x, done + blocks
        if preactivated:
            x = nn.relu(norm(name="norm")(x))
        return classification_head(self, x, outputs, stages)

    def _branch(self, stage: int, dilation: int) -> dict:
        """The fields of `ResidualBlock` that describe the branches of a stage."""
        width = self.width * 2**stage
        if self.block == "basic":
            layers, strided = (ConvSpec(width, 3, 1, dilation),) * 2, 0
        else:
            inner = width * self.width_per_group // 64 * self.groups
            middle = ConvSpec(inner, 3, self.groups, dilation)
            layers = ConvSpec(inner, 1), middle, ConvSpec(4 * width, 1)
            strided = 0 if self.version == "v1" else 1
        excite = self.squeeze_excite and functools.partial(
            SqueezeExcite,
            layers[-1].features // self.squeeze_excite,
            kernel_init=initialiser(self.kernel_init, HE),
            dtype=self.dtype,
            param_dtype=self.param_dtype,
        )
        return {"layers": layers, "strided": strided, "excite": excite}

    def _gates(self, rows: int) -> jax.Array:
        """Factors of the branches, [blocks, B, 1, 1, 1]: 0 or 1 / (1 - rate)."""
        rates = jnp.array(linear_rates(self.drop_path, sum(self.layers)))
        keep = 1 - jnp.broadcast_to(rates[:, None, None, None, None], (len(rates), rows, 1, 1, 1))
        return jax.random.bernoulli(self.make_rng("dropout"), keep) / keep

    def _check(self) -> None:
        check_choice("ResNet.block", self.block, Block)
        check_choice("ResNet.version", self.version, Version)
        if self.block == "basic" and (self.groups, self.width_per_group) != (1, 64):
            raise ValueError(
                "ResNet.groups and width_per_group must be 1 and 64 with basic blocks, "
                f"got {self.groups} and {self.width_per_group}"
            )
        if not 0 <= self.dilated_stages < len(self.layers):
            raise ValueError(
                f"ResNet.dilated_stages must be from 0 to {len(self.layers) - 1}, all but the "
                f"first stage, got {self.dilated_stages}"
            )
        check_probability("ResNet.drop_path", self.drop_path)


ResNet18 = functools.partial(ResNet, layers=(2, 2, 2, 2), block="basic")
"""11,689,512 parameters for three channels and 1,000 classes; 1.814 G multiply-adds at 224 px."""

ResNet34 = functools.partial(ResNet, layers=(3, 4, 6, 3), block="basic")
"""21,797,672 parameters; 3.664 G multiply-adds."""

ResNet50 = functools.partial(ResNet, layers=(3, 4, 6, 3))
"""25,557,032 parameters; 4.089 G multiply-adds."""

ResNet101 = functools.partial(ResNet, layers=(3, 4, 23, 3))
"""44,549,160 parameters; 7.801 G multiply-adds."""

ResNet152 = functools.partial(ResNet, layers=(3, 8, 36, 3))
"""60,192,808 parameters; 11.514 G multiply-adds."""

ResNeXt50_32x4d = functools.partial(ResNet50, groups=32, width_per_group=4)
"""25,028,904 parameters; 4.23 G multiply-adds (Xie et al. 2017)."""

WideResNet50_2 = functools.partial(ResNet50, width_per_group=128)
"""ResNet50 whose 3x3 convolutions are twice as wide, as torchvision's of that name."""

SEResNet50 = functools.partial(ResNet50, squeeze_excite=16)
"""28,088,024 parameters, the biases of squeeze-and-excite included (Hu et al. 2018)."""
