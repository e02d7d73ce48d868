"""Mixed precision: convolutions in bfloat16 where the hardware is faster with it."""

import torch


def mixed_precision(device: torch.device) -> torch.autocast:
    """Context in which a forward pass of training or validation runs."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
