from __future__ import annotations

import numpy as np
import torch
from sam2.build_sam import build_sam2

from medvl.ct.windows import window_for
from medvl.networks.sam2 import Sam2, SegmenterConfig
from medvl.prompting.planes import from_plane, to_plane
from medvl.weights import hub


def test_plane_is_radiological():
    volume = np.zeros((4, 5, 6), int)
    volume[3, 4, 2] = 1  # right, anterior
    volume[0, 0, 2] = 2  # left, posterior
    plane = to_plane(volume, 2, 2)
    assert plane.shape == (5, 4)
    assert plane[0, 0] == 1  # anterior on top, the patient's right on the viewer's left
    assert plane[-1, -1] == 2


def test_from_plane_inverts_to_plane():
    volume = np.random.default_rng(0).integers(0, 99, (4, 5, 6))
    for axis in range(3):
        assert np.array_equal(from_plane(to_plane(volume, axis, 1)), np.moveaxis(volume, axis, 0)[1])


def test_window_follows_the_tissue():
    assert window_for(np.full(9, -800)) == "lung"
    assert window_for(np.full(9, 60)) == "soft"
    assert window_for(np.full(9, 700)) == "bone"


def test_encode_and_decode_agree_with_the_upstream_predictor():
    """Same picture, same box and point: our batched decoder gives the masks of ``SAM2ImagePredictor``."""
    from sam2.sam2_image_predictor import SAM2ImagePredictor  # late: it imports torchvision

    folder, size = hub.find_model("nano"), 256
    ours = Sam2(SegmenterConfig(image_size=size), folder, torch.device("cpu"))
    net = build_sam2(
        "configs/sam2/sam2_hiera_t.yaml",
        ckpt_path=None,
        device="cpu",
        hydra_overrides_extra=[f"++model.image_size={size}"],
        apply_postprocessing=False,
    )
    net.load_state_dict(hub.read_weights(folder, "sam2_hiera_tiny"), strict=False)
    upstream = SAM2ImagePredictor(net.float().eval())
    upstream._bb_feat_sizes = [(size // 4, size // 4), (size // 8, size // 8), (size // 16, size // 16)]
    rng = np.random.default_rng(0)
    picture = np.kron(rng.uniform(0, 1, (8, 8)), np.ones((32, 32)))
    upstream.set_image((np.repeat(picture[..., None], 3, axis=2) * 255).astype(np.uint8))
    box = np.array([60, 60, 200, 190], np.float32)
    _, iou, logits = upstream.predict(
        point_coords=np.array([[120.0, 130.0]]), point_labels=np.array([1]), box=box, multimask_output=True
    )
    features = ours.encode((picture * 255).astype(np.uint8) / 255)
    # upstream puts the box corners before the points
    points = torch.tensor([[[60.0, 60.0], [200.0, 190.0], [120.0, 130.0]]])
    labels = torch.tensor([[2, 3, 1]])
    our_logits, our_iou = ours.decode(features, points, labels, None)
    agreement = ((our_logits[0, 1:].numpy() > 0) == (logits > 0)).mean()
    assert agreement > 0.999  # features are kept in half precision
    assert np.allclose(our_iou[0, 1:].numpy(), iou, atol=5e-3)
    assert np.abs(our_logits[0, 1:].numpy() - logits).mean() < 0.05
