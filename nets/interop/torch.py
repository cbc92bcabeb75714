"""Conversion of weights from and to torch: recurrent modules, attention, Transformers, images."""

from nets.interop.torch_attention import attention_from_torch, attention_to_torch
from nets.interop.torch_recurrent import recurrent_from_torch, recurrent_to_torch
from nets.interop.torch_transformer import transformer_from_torch, transformer_to_torch
from nets.interop.torch_vision import load_weights, vision_from_torch, vision_to_torch

__all__ = [
    "attention_from_torch",
    "attention_to_torch",
    "load_weights",
    "recurrent_from_torch",
    "recurrent_to_torch",
    "transformer_from_torch",
    "transformer_to_torch",
    "vision_from_torch",
    "vision_to_torch",
]
