"""Weights from torch and to it: recurrent modules, attention, image networks, by one import."""

from nets.interop.torch_attention import attention_from_torch, attention_to_torch
from nets.interop.torch_recurrent import recurrent_from_torch, recurrent_to_torch
from nets.interop.torch_vision import images_from_torch, images_to_torch, read

__all__ = [
    "attention_from_torch",
    "attention_to_torch",
    "images_from_torch",
    "images_to_torch",
    "read",
    "recurrent_from_torch",
    "recurrent_to_torch",
]
