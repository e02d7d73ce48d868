"""Entropy separation: what is likely known becomes certain, what is likely unknown uncertain.

References
----------
Saito et al. 2020, NeurIPS (arXiv:2002.07953), eq. 5 and 6.
"""

import torch
from torch.nn import functional


def entropies(logits: torch.Tensor) -> torch.Tensor:
    """Shannon entropy of softmax probabilities over the last axis, in nats, float32."""
    logs = functional.log_softmax(logits.float(), dim=-1)
    return -(logs.exp() * logs).sum(dim=-1)


def entropy_separation(
    logits: torch.Tensor, boundary: torch.Tensor | float, margin: torch.Tensor | float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Push entropies away from a boundary, those within a margin of it excepted.

    ``L_ES = mean_i -|H_i - rho| if |H_i - rho| > m, else 0``; the mean is over all cutouts.

    Parameters
    ----------
    logits : Tensor, shape (B, K)
        Of unlabelled cutouts.
    boundary, margin : Tensor, shape (), or float
        rho and m, nats. Entropies lie between 0 and ln K: where m is larger than both distances,
        the loss is 0 and has no gradient.

    Returns
    -------
    loss : Tensor, shape (), float32
    is_active : Tensor, shape (B,), bool
        Whether a cutout is outside the margin.
    """
    distance = (entropies(logits) - boundary).abs()  # (B,)
    is_active = distance > margin
    return -(is_active * distance).mean(), is_active
