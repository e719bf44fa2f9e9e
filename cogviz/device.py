"""Device and precision, chosen once and with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Device:
    """Where and in which precision matrices are multiplied, and why."""

    name: str
    dtype: torch.dtype
    reason: str

    @property
    def mixed(self) -> bool:
        """True where training should run under bf16 autocast."""
        import torch

        return self.dtype == torch.bfloat16


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def choose(name: str = "auto") -> Device:
    """Return CUDA in bf16 where there is a GPU, else the CPU: bf16 where it has the instructions (AMX or AVX512-BF16), else fp32.

    Args:
        name: "auto", "cuda" or "cpu".
    """
    import torch

    if name not in ("auto", "cuda", "cpu"):
        raise ValueError(f"unknown device {name!r}; choose auto, cuda or cpu")
    if name != "cpu" and torch.cuda.is_available():
        return Device("cuda", torch.bfloat16, f"{torch.cuda.get_device_name()}, bf16")
    if name == "cuda":
        raise ValueError("no CUDA device is here; choose cpu, or run `cogviz doctor` to see what this machine has")
    fast = _cpu_flags() & {"amx_bf16", "avx512_bf16"}
    if fast:
        return Device("cpu", torch.bfloat16, f"no GPU; the processor multiplies bf16 ({', '.join(sorted(fast))})")
    return Device("cpu", torch.float32, "no GPU, and the processor has no bf16 instructions")
