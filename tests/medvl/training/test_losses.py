from __future__ import annotations

import torch

from medvl.training.losses import IGNORED, coarse_target, dice, mask_loss, next_token, siglip


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


def test_mask_losses_fall_towards_the_reference():
    target = (torch.rand(2, 1, 4, 4, 4) > 0.5).float()
    for kind in ("focal", "bce"):
        loss = mask_loss(kind)
        right, wrong = (loss(sign * (target * 20 - 10), target) for sign in (1, -1))
        assert right < 0.05 < wrong
    assert dice(target > 0, target > 0).tolist() == [1, 1]
