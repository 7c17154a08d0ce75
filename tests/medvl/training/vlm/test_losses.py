from __future__ import annotations

import torch

from medvl.networks.seg_head import SegHead, SegTokenConfig
from medvl.training.vlm.losses import IGNORED, CoarseLoss, coarse_target, dice, mask_loss, next_token, siglip


def test_siglip_is_the_papers_sum_and_prefers_true_pairs():
    torch.manual_seed(0)
    image, text = torch.randn(3, 5), torch.randn(3, 5)
    log_scale, bias = torch.tensor(10.0).log(), torch.tensor(-10.0)
    total = 0.0
    for i, x in enumerate(image):
        for j, y in enumerate(text):
            cosine = (x @ y) / x.norm() / y.norm()
            z = 1 if i == j else -1
            total += torch.log1p(torch.exp(z * (-10 * cosine + 10)))
    assert torch.allclose(siglip(image, text, log_scale, bias), total / 3, rtol=1e-4)
    bias = torch.tensor(0.0)
    assert siglip(image, image, log_scale, bias) < siglip(image, image.flip(0), log_scale, bias)


def test_only_answers_count():
    logits = torch.randn(1, 4, 7)
    labels = torch.tensor([[IGNORED, IGNORED, 3, 5]])
    expected = -(logits[0, 1].log_softmax(0)[3] + logits[0, 2].log_softmax(0)[5]) / 2
    assert torch.allclose(next_token(logits, labels), expected)


def test_small_objects_survive_on_the_coarse_grid():
    masks = torch.zeros(2, 16, 16, 16, dtype=torch.bool)
    masks[0, 3, 3, 3] = True
    masks[1, :8] = True
    target = coarse_target(masks, (2, 2, 2))
    assert target[0].sum() == 1
    assert target[0, 0, 0, 0] == 1
    assert target[1, 0].all()
    assert not target[1, 1].any()
    assert coarse_target(torch.zeros(1, 8, 8, 8), (2, 2, 2)).sum() == 0


def test_a_small_structure_that_is_thought_absent_is_pulled_as_hard_as_a_large_one():
    target = torch.zeros(2, 16, 24, 24)
    target[0, :8], target[1, 3, 5, 5:8] = 1, 1
    pulls = []
    for one in target[:, None]:
        logits = torch.full_like(one, -6.0, requires_grad=True)  # where the maps of other structures have pushed it
        CoarseLoss()(logits, one).backward()
        pulls.append(-float(logits.grad[one > 0].sum()))
    assert 0.5 < pulls[1] / pulls[0] < 2
    assert min(pulls) > 0.5


def test_coarse_loss_falls_towards_the_reference_even_if_that_is_empty():
    target = (torch.rand(2, 4, 4, 4, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    right, wrong = (CoarseLoss()(sign * (target * 20 - 10), target) for sign in (1, -1))
    assert right < 0.05 < wrong
    nothing = torch.zeros(1, 4, 4, 4)
    assert CoarseLoss()(nothing - 10, nothing) < CoarseLoss()(nothing + 1, nothing)


def test_head_learns_a_structure_of_four_cells_beside_large_ones_whose_states_are_like_its_own():
    """As heart and aorta: their [SEG] states differ little at first, and the small one must not follow the large."""
    torch.manual_seed(1)
    head, maps = SegHead(SegTokenConfig(hidden_dim=16, channels=(16,), voxel_dim=12)), torch.randn(1, 16, 8, 16, 16)
    states = 0.9**0.5 * torch.randn(1, 16) + 0.1**0.5 * torch.randn(3, 16)
    target = torch.zeros(3, 8, 16, 16)
    target[0, :, :8], target[1, 2:5, 10:14, 4:10], target[2, 4:6, 9, 12:14] = 1, 1, 1
    maps[0, :3] += 2 * target
    optimiser, loss = torch.optim.Adam(head.parameters(), 0.01), CoarseLoss()
    for _ in range(120):
        optimiser.zero_grad()
        loss(head.coarse_logits(states, head.voxels([maps])[0]), target).backward()
        optimiser.step()
    assert dice(head.coarse_logits(states, head.voxels([maps])[0]) > 0, target > 0).min() > 0.8


def test_mask_losses_fall_towards_the_reference():
    target = (torch.rand(2, 1, 4, 4, 4) > 0.5).float()
    for kind in ("focal", "bce"):
        loss = mask_loss(kind)
        right, wrong = (loss(sign * (target * 20 - 10), target) for sign in (1, -1))
        assert right < 0.05 < wrong
    assert dice(target > 0, target > 0).tolist() == [1, 1]
