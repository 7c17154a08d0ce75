"""Names of SAM 2's tensors: those of Meta's files and of what was trained from them, and those of transformers.

Everything is brought to the names of the ``sam2`` package, tensor by tensor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor

from ..errors import WeightsError

# transformers (``Sam2Model``, ``Sam2VideoModel``) -> the sam2 package, in this order.
_RENAMED = tuple(
    (re.compile(pattern), to)
    for pattern, to in (
        (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
        (r"^vision_encoder\.neck\.convs\.(\d+)\.", r"image_encoder.neck.convs.\1.conv."),
        (r"patch_embed\.projection", "patch_embed.proj"),
        (r"^prompt_encoder\.shared_embedding\.positional_embedding$",
         "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
        (r"^prompt_encoder\.mask_embed\.conv1", "sam_prompt_encoder.mask_downscaling.0"),
        (r"^prompt_encoder\.mask_embed\.layer_norm1", "sam_prompt_encoder.mask_downscaling.1"),
        (r"^prompt_encoder\.mask_embed\.conv2", "sam_prompt_encoder.mask_downscaling.3"),
        (r"^prompt_encoder\.mask_embed\.layer_norm2", "sam_prompt_encoder.mask_downscaling.4"),
        (r"^prompt_encoder\.mask_embed\.conv3", "sam_prompt_encoder.mask_downscaling.6"),
        (r"^prompt_encoder\.", "sam_prompt_encoder."),
        (r"^mask_decoder\.upscale_conv1", "sam_mask_decoder.output_upscaling.0"),
        (r"^mask_decoder\.upscale_layer_norm", "sam_mask_decoder.output_upscaling.1"),
        (r"^mask_decoder\.upscale_conv2", "sam_mask_decoder.output_upscaling.3"),
        (r"^mask_decoder\.", "sam_mask_decoder."),
        (r"^object_pointer_proj\.", "obj_ptr_proj."),
        (r"(hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head|obj_ptr_proj)\.proj_out", r"\1.layers.2"),
        (r"(hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head|obj_ptr_proj)\.layers\.0", r"\1.layers.1"),
        (r"\.proj_in\.", ".layers.0."),
        (r"mlp\.proj_out\.", "mlp.layers.1."),
        (r"^memory_encoder\.mask_downsampler\.layers\.(\d+)\.(conv|layer_norm)",
         lambda m: f"memory_encoder.mask_downsampler.encoder.{3 * int(m[1]) + (m[2] == 'layer_norm')}"),
        (r"^memory_encoder\.mask_downsampler\.final_conv", "memory_encoder.mask_downsampler.encoder.12"),
        (r"^memory_encoder\.feature_projection", "memory_encoder.pix_feat_proj"),
        (r"^memory_encoder\.projection", "memory_encoder.out_proj"),
        (r"^memory_encoder\.memory_fuser\.", "memory_encoder.fuser."),
        (r"\.depthwise_conv\.", ".dwconv."),
        (r"\.pointwise_conv(\d)\.", r".pwconv\1."),
        (r"(fuser\.layers\.\d+)\.scale$", r"\1.gamma"),
        (r"\.layer_norm_final_attn\.", ".norm_final_attn."),
        (r"\.layer_norm(\d?)\.", r".norm\1."),
        (r"\.o_proj\.", ".out_proj."),
        (r"^temporal_positional_encoding_projection_layer\.", "obj_ptr_tpos_proj."),
        (r"^memory_temporal_positional_encoding$", "maskmem_tpos_enc"),
        (r"^no_memory_embedding$", "no_mem_embed"),
        (r"^no_memory_positional_encoding$", "no_mem_pos_enc"),
        (r"^no_object_pointer$", "no_obj_ptr"),
        (r"^occlusion_spatial_embedding_parameter$", "no_obj_embed_spatial"),
    )
)  # fmt: skip
_TWICE = "shared_image_embedding."  # the prompt encoder's matrix once more
_POINTS = "prompt_encoder.point_embed.weight"  # four rows, which the package holds one by one

# Width of the first block and number of blocks -> letter of the package's configuration.
_SIZES = {(96, 12): "t", (96, 16): "s", (112, 24): "b+", (144, 48): "l"}


def is_transformers(names: Iterable[str]) -> bool:
    """True for the names that transformers gives."""
    return any(name.startswith("vision_encoder.backbone.") for name in names)


def package_names(name: str) -> tuple[str, ...]:
    """What a tensor of transformers is called in the package: none, one, or several names of its rows."""
    if name.startswith(_TWICE):
        return ()
    if name == _POINTS:
        return tuple(f"sam_prompt_encoder.point_embeddings.{n}.weight" for n in range(4))
    for pattern, to in _RENAMED:
        name = pattern.sub(to, name)
    return (name,)


def package_tensors(stored: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) in the package's layout of what is stored in transformers'."""
    for name, value in stored:
        names = package_names(name)
        yield from zip(names, value.split(1) if len(names) > 1 else (value,), strict=False)


def configuration(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Name of the Hydra configuration in the package that a checkpoint fits.

    Args:
        shapes: of its tensors, under the package's names.

    Raises:
        WeightsError: it is none of SAM 2 or 2.1 with a Hiera of a published size.
    """
    blocks = {int(m[1]) for n in shapes if (m := re.match(r"image_encoder\.trunk\.blocks\.(\d+)\.", n))}
    width = shapes.get("image_encoder.trunk.patch_embed.proj.weight", (0,))[0]
    letter = _SIZES.get((width, len(blocks)))
    if letter is None:
        raise WeightsError(
            f"This is no SAM 2 checkpoint of a known size: its encoder has {len(blocks)} blocks and {width} channels. "
            "Choose one of tiny, small, base-plus or large."
        )
    newer = "obj_ptr_tpos_proj.weight" in shapes
    return f"configs/sam2.1/sam2.1_hiera_{letter}.yaml" if newer else f"configs/sam2/sam2_hiera_{letter}.yaml"
