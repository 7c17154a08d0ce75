"""``joint``: words and masks together. The state at each [SEG] finds its structure in 3-D and prompts SAM 2.

As in LISA (arXiv 2308.00692) and Sa2VA (arXiv 2501.04001) the losses of text and masks are added. SAM 2's image encoder
is frozen. On the key slice, where the structure is largest, SAM 2's mask from the projected [SEG] (and the coarse mask
as a dense prompt) is compared with the reference; both read the slice as the 3-D encoder sees it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..seg_token import DENSE_LIMIT, predict
from ..slice_encoder import Features
from . import build, feed
from .config import TrainingConfig
from .losses import CoarseLoss, coarse_target, dice, mask_loss
from .stages import Instruct, trainable

UNTAUGHT = ("conv_s0", "conv_s1", "iou_prediction_head", "pred_obj_score_head")  # of the decoder: no loss reaches them
KEPT_SLICES = 256  # features of slices that are kept where the images do not change


class Joint(Instruct):
    """Projector, LoRA, the rows of [SEG], the [SEG] head; if asked, the encoder and SAM 2's mask decoder."""

    want_states = True

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        super().__init__(config, device)
        self.head = trainable(self.model.seg_head)
        self.levels = self.head.config.stages(self.encoder.config.channels)
        self.compare_coarse, self.compare = CoarseLoss(), mask_loss(config.loss.mask)
        self.decoder: nn.Module | None = None
        if config.loss.train_mask_decoder:
            self.decoder = trainable(self.model.sam2.net.sam_mask_decoder)
            for name in UNTAUGHT:
                if hasattr(self.decoder, name):
                    getattr(self.decoder, name).requires_grad_(False)
        self._slices: OrderedDict[tuple[str, int], Features] = OrderedDict()

    def drawing(self) -> Callable:
        """Questions of all kinds."""
        return partial(feed.segmenting, count=self.turns, absent_share=self.config.data.absent_share)

    def language_model(self) -> nn.Module:
        """With LoRA and trained rows of [SEG]."""
        self.seg_id = build.add_seg(self.model, self.config.model, self.device)
        return build.add_lora(self.vlm.lm, self.config.model, (self.seg_id,))

    def forward(self, items: list[feed.Item]) -> dict[str, Tensor]:
        """Losses ``text``, ``coarse``, ``slice``, and the Dice of the coarse masks and of the slices' masks."""
        weights = self.config.loss
        maps = self.maps(items)
        text, readings, states = self.speak(items, maps)
        voxels = self.head.voxels([m.float() for m in maps[self.levels]])
        losses: dict[str, list[Tensor]] = {"coarse": [], "slice": []}
        scores: dict[str, list[Tensor]] = {"dice": [], "slice_dice": []}
        for item, reading, row, volume in zip(items, readings, states, voxels, strict=True):
            at = (reading.labels == self.seg_id).nonzero()[:, 0]  # in answers: a question may speak of [SEG] too
            if not len(at):
                continue
            names = reading.targets[: len(at)]
            found = row[at].float()
            masks = torch.stack([torch.as_tensor(item["masks"][n]) for n in names]).to(self.device)
            logits = self.head.coarse_logits(found, volume).float()
            target = coarse_target(masks, logits.shape[1:])
            losses["coarse"].append(self.compare_coarse(logits, target))
            scores["dice"].append(dice(logits.detach() > 0, target > 0))
            if weights.slice:
                some = slice(weights.max_targets)
                drawn, wanted = self.draw_slices(item, found[some], logits[some], masks[some])
                losses["slice"].append(self.compare(drawn, wanted))
                scores["slice_dice"].append(dice(drawn.detach() > 0, wanted > 0))
        # No structure in a batch: the parts still belong to the graph, so that every process has the same gradients.
        nothing = sum(p.sum() for p in self.trained_parts()) * 0.0
        parts = {"text": text} | {n: torch.stack(v).mean() if v else nothing for n, v in losses.items()}
        total = sum(getattr(weights, n) * v for n, v in parts.items()) + nothing
        metrics = {n: torch.cat(v).mean() if v else torch.full((), torch.nan) for n, v in scores.items()}
        return {"loss": total, **{n: v.detach() for n, v in parts.items()}, **metrics}

    def trained_parts(self) -> list[nn.Parameter]:
        """Parameters that only structures train."""
        return [*self.head.parameters(), *(self.decoder.parameters() if self.decoder is not None else ())]

    def draw_slices(self, item: feed.Item, states: Tensor, logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """SAM 2's masks of the key slices.

        Args:
            item: with the image ``[1, D, H, W]``.
            states: ``[N, C]`` at [SEG].
            logits: ``[N, D', H', W']`` coarse.
            masks: ``[N, D, H, W]`` reference.

        Returns:
            Logits and reference ``[N, 1, s, s]`` on SAM 2's grid.
        """
        sam2, drawn, wanted = self.model.sam2, [], []
        side = sam2.config.image_size // 4
        prompts = self.head.prompts(states)
        for n, mask in enumerate(masks):
            key = int(mask.flatten(1).sum(1).argmax())
            dense = None
            if self.config.loss.dense_prompt:
                # The coarse mask is taught by its own loss; through SAM 2 it would learn what suits the decoder.
                grid = (len(mask), side, side)
                fine = F.interpolate(logits[n : n + 1, None].detach(), grid, mode="trilinear", align_corners=False)
                dense = fine[:, :, key].clamp(-DENSE_LIMIT, DENSE_LIMIT)
            with torch.autocast(self.device.type, enabled=False):
                out, _ = predict(sam2, self.features(item, key), prompts[n : n + 1].float(), dense)
            drawn.append(out[:, :1])  # the output for one unambiguous object
            wanted.append(F.interpolate(mask[key][None, None].float(), (side, side), mode="area").round())
        return torch.cat(drawn), torch.cat(wanted)

    def features(self, item: feed.Item, key: int) -> Features:
        """SAM 2's features of a slice; kept where the same slice always looks the same."""
        name = (item["sample"].id, key)
        if name in self._slices:
            return self._slices[name]
        features = self.model.sam2.encode(item["image"][0, key].cpu().numpy())
        if self.config.data.cache:
            self._slices[name] = features
            if len(self._slices) > KEPT_SLICES:
                self._slices.popitem(last=False)
        return features
