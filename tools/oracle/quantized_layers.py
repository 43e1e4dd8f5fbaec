"""Linear layers as GPTQ (AutoGPTQ, GPTQModel) and AWQ (AutoAWQ's gemm) checkpoints store them.

Integers, zero points and scales are random, seeded by the layer's name, and the float weight is what the documented
formula makes of them: (q - zero) * scale, the group of a row being g_idx[row]. The packing is written from the formats'
descriptions, not from their code: neither package is needed.
"""

import dataclasses

import numpy as np
import torch
from make_goldens import generator

AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]  # the columns that a word holds, from the low bits up


@dataclasses.dataclass(frozen=True)
class Scheme:
    method: str = "gptq"
    bits: int = 4
    group_size: int = 16
    symmetric: bool = False  # zero points in the middle
    shuffled: bool = False  # desc_act: rows of a group lie anywhere
    zeros_less_one: bool = True  # GPTQ's first format
    zero_biases: bool = False  # as AutoGPTQ added them
    leave_out: str = "lm_head"  # names that hold this are not quantized, beside the head's
    transposed: bool = False  # Conv1D: the float weight is [in, out]

    def takes(self, name: str, value: torch.Tensor) -> bool:
        embeds = any(part in name for part in ("embed", "wte", "wpe", "norm", "ln_", "lm_head", self.leave_out))
        return name.endswith(".weight") and value.ndim == 2 and not embeds

    def draw(self, name: str, rows: int, columns: int):
        """q [rows, columns], zero and scale [groups, columns], g_idx [rows]."""
        size = rows if self.group_size < 0 else self.group_size
        groups = -(-rows // size)
        random = np.random.default_rng(generator(name, self.method).initial_seed())
        q = random.integers(0, 2**self.bits, (rows, columns))
        zero = random.integers(0, 2**self.bits, (groups, columns))
        if not self.symmetric:
            zero[0, :3] = [0, 1, 2**self.bits - 1]
            zero = np.where(random.random(zero.shape) < 0.5, 2 ** (self.bits - 1) - 1, zero)
        else:
            zero[:] = 2 ** (self.bits - 1)
        scale = (0.5 + random.random(zero.shape)) / (0.4 * 2**self.bits * rows**0.5)
        g_idx = np.arange(rows) // size
        if self.shuffled:
            g_idx = random.permutation(g_idx)
        return q, zero, scale.astype(np.float16), g_idx

    def floats(self, state: dict) -> dict:
        """The state with the weights that the integers stand for."""
        out = dict(state)
        for name, value in state.items():
            if self.takes(name, value):
                rows, columns = value.shape if self.transposed else value.shape[::-1]
                q, zero, scale, g_idx = self.draw(name, rows, columns)
                weight = (q - zero[g_idx]) * scale.astype(np.float32)[g_idx]
                out[name] = torch.from_numpy((weight if self.transposed else weight.T).astype(np.float32))
        return out

    def packed(self, state: dict) -> dict:
        """The state as the checkpoint has it."""
        out = {}
        for name, value in state.items():
            if not self.takes(name, value):
                out[name] = value
                continue
            rows, columns = value.shape if self.transposed else value.shape[::-1]
            q, zero, scale, g_idx = self.draw(name, rows, columns)
            path = name.removesuffix("weight")
            if self.method == "awq":
                out[path + "qweight"] = words(columns_in_awq_order(q), 4, axis=1)
                out[path + "qzeros"] = words(columns_in_awq_order(zero), 4, axis=1)
            else:
                stored = (zero - 1) % 2**self.bits if self.zeros_less_one else zero
                out[path + "qweight"] = words(q, self.bits, axis=0)
                out[path + "qzeros"] = words(stored, self.bits, axis=1)
                out[path + "g_idx"] = torch.from_numpy(g_idx.astype(np.int32))
            out[path + "scales"] = torch.from_numpy(scale)
            if self.zero_biases:
                out[path + "bias"] = torch.zeros(columns, dtype=torch.float16)
        return out

    def config(self, config: dict) -> dict:
        if self.method == "awq":
            how = {"quant_method": "awq", "bits": 4, "group_size": self.group_size, "version": "gemm",
                   "zero_point": True, "modules_to_not_convert": None}  # fmt: skip
        else:
            how = {"quant_method": "gptq", "bits": self.bits, "group_size": self.group_size, "desc_act": self.shuffled,
                   "sym": self.symmetric, "damp_percent": 0.01, "true_sequential": True}  # fmt: skip
            if not self.zeros_less_one:
                how["checkpoint_format"] = "gptq_v2"
        return config | {"quantization_config": how}


def columns_in_awq_order(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1, 8)[:, :, AWQ_ORDER].reshape(values.shape)


def words(values: np.ndarray, bits: int, axis: int) -> torch.Tensor:
    """Neighbours along the axis in one 32-bit word, the first in the low bits."""
    values = np.moveaxis(values, axis, -1).astype(np.uint64)
    parts = values.reshape(*values.shape[:-1], -1, 32 // bits)
    shifts = (np.arange(32 // bits) * bits).astype(np.uint64)
    packed = np.bitwise_or.reduce(parts << shifts, axis=-1).astype(np.uint32).view(np.int32)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(packed, -1, axis)))
