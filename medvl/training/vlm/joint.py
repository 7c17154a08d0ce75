"""``joint``: words and masks together. The state at each [SEG] finds its structure in 3-D and prompts SAM 2.

As in LISA (arXiv 2308.00692) and Sa2VA (arXiv 2501.04001) the losses of text and masks are added. SAM 2's image encoder
is frozen. On key slices at the resolution of the scan (``datasets.native``), or on the one where the structure is
largest as the 3-D encoder sees it, SAM 2's mask from the projected [SEG] (and the coarse mask as a dense prompt) is
compared with the reference. If asked, SAM 2's memory learns to carry a structure from the key slice to its neighbour.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...errors import ConfigError
from ...networks.sam2 import Features, predict
from ...networks.sam2_video import FramePrompt, picture
from ...networks.seg_head import DENSE_LIMIT
from ...weights import hub
from ..config import TrainingConfig
from . import build, feed
from .losses import CoarseLoss, coarse_target, dice, mask_loss
from .stages import Instruct, trainable

UNTAUGHT = ("conv_s0", "conv_s1", "iou_prediction_head", "pred_obj_score_head")  # of the decoder: no loss reaches them
MEMORY = ("memory_attention", "memory_encoder", "obj_ptr_proj", "obj_ptr_tpos_proj")  # modules that carry on
SURE = 20.0  # logits beyond it change no loss; an object that SAM 2 believes absent has -1024
KEPT_SLICES = 256  # features of slices that are kept where the images do not change
NAMES = "name_queries.safetensors"
NAMED = 32  # structures of a scan that are compared with queries of their own in a pass


class NameQueries(nn.Module):
    """A query for any name: the sum of rows of one table, at places that the name gives, so that no two share all."""

    def __init__(self, dim: int, rows: int = 4096, each: int = 3) -> None:
        super().__init__()
        self.table, self.each = nn.Embedding(rows, dim), each
        nn.init.normal_(self.table.weight, std=0.1)  # every map starts from "not here", which is the head's bias

    def forward(self, names: Sequence[str]) -> Tensor:
        """``[N, dim]``."""
        table = self.table.weight
        rows = [[zlib.crc32(f"{n} {name}".encode()) % len(table) for n in range(self.each)] for name in names]
        return self.table(torch.tensor(rows, device=table.device)).sum(1)


def name_queries(config: TrainingConfig, dim: int) -> NameQueries:
    """Those of an earlier run that the stage starts from, or new ones."""
    queries, file = NameQueries(dim), Path(config.model.start) / NAMES
    if file.is_file():
        hub.load_strict(queries, load_file(file), "the queries of names")
    return queries


class Joint(Instruct):
    """Projector, LoRA, the rows of [SEG], the [SEG] head; if asked, the encoder and SAM 2's mask decoder."""

    want_states = True

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        super().__init__(config, device)
        self.head = trainable(self.model.networks.seg_head)
        self.levels = self.head.config.stages(self.encoder.config.channels)
        self.names = name_queries(config, self.head.config.voxel_dim).to(device) if config.loss.names else None
        self.words = bool(config.loss.text or not config.loss.names)
        if not self.words:  # no loss reaches them
            self.projector.requires_grad_(False)
            self.lm.requires_grad_(False)
        self.compare_coarse, self.compare = CoarseLoss(), mask_loss(config.loss.mask)
        self.decoder: nn.Module | None = None
        if config.loss.train_mask_decoder:
            self.decoder = trainable(self.model.networks.sam2.net.sam_mask_decoder)
            for name in UNTAUGHT:
                if hasattr(self.decoder, name):
                    getattr(self.decoder, name).requires_grad_(False)
        self.memory: nn.ModuleDict | None = None
        if config.loss.memory:
            if not self.model.networks.sam2.has_memory:
                raise ConfigError("loss.memory: this SAM 2 has no memory. Start from one that has, or set it to 0.")
            net = self.model.networks.sam2.net
            self.memory = nn.ModuleDict({name: trainable(getattr(net, name)) for name in MEMORY})
        self._slices: OrderedDict[tuple[str, int | str], Features] = OrderedDict()

    def drawing(self) -> Callable:
        """Questions of all kinds."""
        return partial(feed.segmenting, count=self.turns, absent_share=self.config.data.absent_share)

    def language_model(self) -> nn.Module:
        """With LoRA and trained rows of [SEG], or all of it."""
        self.model, self.seg_id = build.add_seg(self.model, self.config.model, self.device)
        return build.tuned(self.vlm.lm, self.config.model, (self.seg_id,))

    def place(self, device: torch.device) -> None:
        """SAM 2 goes along: it is no module of the stage."""
        super().place(device)
        self.model.networks.sam2.to(device)

    def forward(self, items: list[feed.Item]) -> dict[str, Tensor]:
        """Losses ``text``, ``coarse``, ``slice`` and, if asked, ``memory``; Dice of the coarse and the slice masks."""
        weights = self.config.loss
        maps = self.maps(items)
        voxels = self.head.voxels([m.float() for m in maps[self.levels]])
        losses: dict[str, list[Tensor]] = {"coarse": [], "slice": []}
        losses |= {name: [] for name in ("memory", "names") if getattr(weights, name)}
        scores: dict[str, list[Tensor]] = {"dice": [], "slice_dice": []} | ({"names_dice": []} if self.names else {})
        if self.names is not None:
            for item, volume in zip(items, voxels, strict=True):
                self.by_name(item, volume, losses["names"], scores["names_dice"])
        text, readings, states = self.speak(items, maps) if self.words else (voxels.sum() * 0.0, [], [])
        for item, reading, row, volume in zip(items, readings, states, voxels, strict=self.words):
            at = (reading.labels == self.seg_id).nonzero()[:, 0]  # in answers: a question may speak of [SEG] too
            if not len(at):
                continue
            names = reading.targets[: len(at)]
            found = row[at].float()
            masks = torch.stack([torch.as_tensor(item["masks"][n]) for n in names]).to(self.device)
            logits = self.head.coarse_logits(found, volume).float()
            target = coarse_target(masks, logits.shape[1:])
            losses["coarse"].append(self.compare_coarse(logits, target))
            if self.names is not None:  # a state that asks for a structure as its name does finds it where that does
                meant = self.names(names).detach()
                losses["names"].append(F.mse_loss(self.head.query(found), meant) / meant.var().clamp(min=1e-4))
            scores["dice"].append(dice(logits.detach() > 0, target > 0))
            if weights.slice:
                some = slice(weights.max_targets)
                if weights.slices:
                    drawn, wanted = self.draw_native(item, names[some], found[some], logits[some])
                else:
                    drawn, wanted = self.draw_slices(item, found[some], logits[some], masks[some])
                losses["slice"].append(self.compare(drawn, wanted))
                scores["slice_dice"].append(dice(drawn.detach() > 0, wanted > 0))
            if weights.memory:
                losses["memory"] += self.carried(item, names[: weights.max_targets])
        # No structure in a batch: the parts still belong to the graph, so that every process has the same gradients.
        nothing = sum(p.sum() for p in self.trained_parts()) * 0.0
        parts = {"text": text} | {n: torch.stack(v).mean() if v else nothing for n, v in losses.items()}
        total = sum(getattr(weights, n) * v for n, v in parts.items()) + nothing
        metrics = {n: torch.cat(v).mean() if v else torch.full((), torch.nan) for n, v in scores.items()}
        return {"loss": total, **{n: v.detach() for n, v in parts.items()}, **metrics}

    def export(self, folder: Path) -> None:
        """Write the model, and beside it the queries of names, from which another run goes on."""
        super().export(folder)
        if self.names is not None:
            save_file({n: t.cpu() for n, t in self.names.state_dict().items()}, folder / NAMES)

    def trained_parts(self) -> list[nn.Parameter]:
        """Parameters that only structures train."""
        modules = [m for m in (self.head, self.names, self.decoder, self.memory) if m is not None]
        return [p for m in modules for p in m.parameters() if p.requires_grad]

    def by_name(self, item: feed.Item, volume: Tensor, losses: list[Tensor], scores: list[Tensor]) -> None:
        """Compare structures of an item with what their own queries find; adds the loss and the Dice.

        Words name few structures of a scan in a pass. Here all of them teach the encoder and the voxels' embeddings.

        Args:
            item: with ``"masks"`` of all its structures.
            volume: voxel embeddings ``[E, D', H', W']``.
            losses: of the passes.
            scores: the same.
        """
        names = [name for name, mask in item["masks"].items() if mask.any()]
        names = [names[n] for n in torch.randperm(len(names))[:NAMED].tolist()]
        if not names:
            return
        logits = self.head.compared(self.names(names), volume).float()
        masks = torch.stack([torch.as_tensor(item["masks"][n]) for n in names]).to(self.device)
        target = coarse_target(masks, logits.shape[1:])
        losses.append(self.compare_coarse(logits, target))
        scores.append(dice(logits.detach() > 0, target > 0))

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
        sam2, drawn, wanted = self.model.networks.sam2, [], []
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
                features = self.features(item["sample"].id, key, item["image"][0, key].cpu().numpy())
                out, _ = predict(sam2, features, prompts[n : n + 1].float(), dense)
            drawn.append(out[:, :1])  # the output for one unambiguous object
            wanted.append(F.interpolate(mask[key][None, None].float(), (side, side), mode="area").round())
        return torch.cat(drawn), torch.cat(wanted)

    def draw_native(
        self, item: feed.Item, names: Sequence[str], states: Tensor, logits: Tensor
    ) -> tuple[Tensor, Tensor]:
        """SAM 2's masks of the key slices at the resolution of the scan.

        Args:
            item: with slices of ``names`` and, where the coarse map fits them, their places.
            names: N structures.
            states: ``[N, C]`` at [SEG].
            logits: ``[N, D', H', W']`` coarse.

        Returns:
            Logits and reference ``[M, 1, s, s]`` on SAM 2's grid, of all their slices.
        """
        sam2, drawn, wanted = self.model.networks.sam2, [], []
        side = sam2.config.image_size // 4
        for name, prompt, coarse in zip(names, self.head.prompts(states), logits, strict=True):
            slices = item["slices"][name]
            places = item["places"].get(name) if self.config.loss.dense_prompt else None
            for n, each in enumerate(slices):
                dense = on_slice(coarse.detach(), places[n], side) if places else None
                features = self.features(item["sample"].id, f"{each.index} {each.window} {each.crop}", each.seen)
                with torch.autocast(self.device.type, enabled=False):
                    out, _ = predict(sam2, features, prompt[None].float(), dense)
                drawn.append(out[:, :1])
                mask = each.mask.to(self.device)[None, None].float()
                wanted.append(F.interpolate(mask, (side, side), mode="area").round())
        return torch.cat(drawn), torch.cat(wanted)

    def carried(self, item: feed.Item, names: Sequence[str]) -> list[Tensor]:
        """Loss of the neighbour of each structure's key slice, from SAM 2's memory of the reference there."""
        sam2, losses = self.model.networks.sam2, []
        size = sam2.config.image_size
        video = sam2.video()
        for name in names:
            row = item["slices"][name]
            if len(row) < 2 or abs(row[1].index - row[0].index) != 1:  # a flat structure
                continue
            key, other = row[:2]
            shown = [picture(torch.from_numpy(s.seen).to(self.device), size) for s in (key, other)]
            masks = [s.mask.to(self.device)[None, None].float() for s in (key, other)]
            given = F.interpolate(masks[0], (size, size), mode="area")[0, 0] > 0.5
            with torch.autocast(self.device.type, enabled=False):
                logits, there = video.beside(shown[0], FramePrompt(mask=given), shown[1])
            target = F.interpolate(masks[1], logits.shape[2:], mode="area").round()
            found = F.binary_cross_entropy_with_logits(there, torch.ones_like(there))
            losses.append(self.compare(logits.clamp(-SURE, SURE), target) + found)
        return losses

    def features(self, sample: str, key: int | str, picture: np.ndarray) -> Features:
        """SAM 2's features of a slice ``[rows, columns]``; kept where the same slice always looks the same."""
        name = (sample, key)
        if name in self._slices:
            return self._slices[name]
        features = self.model.networks.sam2.encode(picture)
        if self.config.data.cache:
            self._slices[name] = features
            if len(self._slices) > KEPT_SLICES:
                self._slices.popitem(last=False)
        return features


def on_slice(logits: Tensor, place: Sequence[float], side: int) -> Tensor:
    """Coarse logits where a slice lies in the encoder's image, as a dense prompt.

    Args:
        logits: ``[D', H', W']``.
        place: of the slice, see ``native.place_of``.
        side: of SAM 2's grid.

    Returns:
        ``[1, 1, side, side]``; ``-DENSE_LIMIT`` where the encoder was shown nothing.
    """
    depth, r0, r1, c0, c1 = place
    middles = (torch.arange(side, device=logits.device) + 0.5) / side
    rows, columns = torch.meshgrid(r0 + middles * (r1 - r0), c0 + middles * (c1 - c0), indexing="ij")
    points = torch.stack([columns, rows, torch.full_like(rows, depth)], -1)  # shares of width, height and depth
    grid = (2 * points - 1)[None, None]
    found = F.grid_sample(logits[None, None].float(), grid, padding_mode="border", align_corners=False)[0]
    inside = ((points >= 0) & (points <= 1)).all(-1)
    return torch.where(inside, found.clamp(-DENSE_LIMIT, DENSE_LIMIT), -DENSE_LIMIT)
