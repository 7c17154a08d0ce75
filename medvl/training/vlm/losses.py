"""Losses of the training stages."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

IGNORED = -100  # label of a token that is not trained on


class _Gather(torch.autograd.Function):
    """Concatenates a tensor over processes; the gradients of all processes come back to its owner."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        ctx.count = len(x)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        start = dist.get_rank() * ctx.count
        return gradient[start : start + ctx.count]


def gather(x: Tensor) -> Tensor:
    """``[B, ...]`` of every process as ``[P * B, ...]``, with gradients; ``x`` itself in a single process."""
    return _Gather.apply(x) if dist.is_initialized() and dist.get_world_size() > 1 else x


def siglip(image: Tensor, text: Tensor, log_scale: Tensor, bias: Tensor) -> Tensor:
    """Sigmoid loss of image-text pairs (arXiv 2303.15343): each pair of a batch is a yes-no question of its own.

    Every process compares its images with the texts of all; the mean over processes is the loss of the whole batch.

    Args:
        image: ``[B, C]``, of this process.
        text: ``[B, C]``, row for row with ``image``.
        log_scale: logarithm of the inverse temperature.
        bias: of the logits.
    """
    image, text = F.normalize(image, dim=-1), gather(F.normalize(text, dim=-1))
    logits = log_scale.exp() * image @ text.T + bias  # [B, P * B]
    first = dist.get_rank() * len(image) if len(text) > len(image) else 0
    mine = torch.arange(len(image), device=image.device)
    signs = torch.full_like(logits, -1.0)
    signs[mine, first + mine] = 1.0
    return -F.logsigmoid(signs * logits).sum(1).mean()


def next_token(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each next token.

    Args:
        logits: ``[B, T, V]``.
        labels: ``[B, T]`` token at each position, ``IGNORED`` where it is not to be learned.
    """
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED)


def mask_loss(kind: str) -> nn.Module:
    """Focal loss or cross-entropy plus soft Dice on logits ``[N, 1, ...]``, from MONAI."""
    from monai.losses import DiceCELoss, DiceFocalLoss

    return DiceFocalLoss(sigmoid=True) if kind == "focal" else DiceCELoss(sigmoid=True)


class CoarseLoss(nn.Module):
    """Focal loss and soft Dice of coarse 3-D masks, in which every structure counts alike, large or small.

    A map that is sure that a structure is nowhere has next to no gradient from soft Dice, and in a mean over all voxels
    a structure has as little say as its share of them: a small one that the maps of the large ones have pushed there is
    not learned. So the focal loss of each is divided by its own cells, as RetinaNet's by the anchors that hold an
    object (arXiv 1708.02002).
    """

    def __init__(self) -> None:
        super().__init__()
        from monai.losses import DiceLoss, FocalLoss

        self.overlap = DiceLoss(sigmoid=True)
        self.voxelwise = FocalLoss(reduction="none")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean over the structures.

        Args:
            logits: ``[N, D', H', W']``.
            target: of the same shape, 0 or 1; a structure that has no cell counts as one of one cell.
        """
        logits, target = logits[:, None], target[:, None]
        cells = target.flatten(1).sum(1).clamp(min=1)
        return self.overlap(logits, target) + (self.voxelwise(logits, target).flatten(1).sum(1) / cells).mean()


def coarse_target(masks: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Masks on the coarse grid: cells that the object fills by half, or by half as much as any, if it is small.

    Args:
        masks: ``[N, D, H, W]``.
        grid: ``(D', H', W')``.

    Returns:
        Float ``[N, D', H', W']``; a mask that was not empty stays so.
    """
    share = F.adaptive_avg_pool3d(masks.float(), grid)
    least = (share.amax((1, 2, 3), keepdim=True) / 2).clamp(max=0.5)
    return ((share >= least) & (share > 0)).float()


def dice(predicted: Tensor, target: Tensor) -> Tensor:
    """Dice ``[N]`` of bool masks ``[N, ...]``; two empty masks agree."""
    both = (predicted & target).flatten(1).sum(1)
    total = predicted.flatten(1).sum(1) + target.flatten(1).sum(1)
    return torch.where(total > 0, 2 * both / total.clamp(min=1), 1.0)
