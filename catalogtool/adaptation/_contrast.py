"""NT-Xent: two views of one cutout are to resemble each other more than all other cutouts.

References
----------
Chen et al. 2020, ICML (arXiv:2002.05709), equation 1. Where every anchor has one positive it is
the loss of Khosla et al. 2020, NeurIPS (arXiv:2004.11362), equation 2.
"""

import torch

from catalogtool.adaptation._gather import gather_rows


def nt_xent(first: torch.Tensor, second: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean over the 2 B views of minus the log-softmax of the other view's similarity.

    ``-ln( exp(s_ij / t) / sum_{k != i} exp(s_ik / t) )`` with cosines s, over the views of all
    workers: negatives are as many as the global batch has, however it is divided.

    Parameters
    ----------
    first, second : Tensor, shape (B, D)
        This worker's embeddings of both views; as many on every worker.
    temperature : float
        Divides the cosines.

    Returns
    -------
    Tensor, shape (), float32
        The same on every worker; 0 if there is but one cutout.

    Notes
    -----
    The library's NTXentLoss lists all triplets, (2 B)^3 numbers; its SupConLoss needs (2 B)^2 for
    the same loss.
    """
    from pytorch_metric_learning.losses import SupConLoss
    from pytorch_metric_learning.reducers import MeanReducer

    embeddings = torch.cat([gather_rows(first), gather_rows(second)]).float()
    pairs = torch.arange(len(embeddings) // 2, device=embeddings.device).repeat(2)
    # Its own reducer would leave out views whose loss is 0.
    criterion = SupConLoss(temperature, reducer=MeanReducer())
    # In bfloat16 a cosine over a small temperature is off by a tenth.
    with torch.autocast(embeddings.device.type, enabled=False):
        loss: torch.Tensor = criterion(embeddings, pairs)
    return loss
