"""``align-encoder`` with a text encoder of its own, as the published recipe has it (SigLIP, a clinical BERT)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from medvl.errors import ConfigError
from medvl.networks.vision_encoder import SIZES, DCFormer
from medvl.training.datasets import open_dataset
from medvl.training.vlm.engine import train
from medvl.training.vlm.stages import AlignEncoder

from ...tiny_checkpoints import WORDS
from ..tiny_stages import config_of, losses, write_cases

TEXTS = ("the liver is large .", "spleen normal", "what size is it ? seen")


def write_bert(folder, kind="bert"):
    """A random text encoder with a WordPiece tokenizer, in the Hugging Face layout."""
    from transformers import BertConfig, BertModel, BertTokenizerFast, DistilBertConfig, DistilBertModel

    folder.mkdir(parents=True, exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(w for w in WORDS if w.strip())]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    torch.manual_seed(0)
    if kind == "bert":
        model = BertModel(
            BertConfig(
                vocab_size=len(words),
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=64,
            )
        )
    else:  # ClinicalBERT is a DistilBERT
        model = DistilBertModel(
            DistilBertConfig(
                vocab_size=len(words), max_position_embeddings=64, dim=32, n_layers=2, n_heads=2, hidden_dim=64
            )
        )
    model.save_pretrained(folder)
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    return model.eval()


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder)
    write_bert(folder / "bert")
    write_bert(folder / "distilbert", "distilbert")
    return folder


@pytest.fixture(scope="module")
def captioned(cases):
    samples = open_dataset("cases", cases / "cases.json", "train")
    return [replace(sample, captions=(text,)) for sample, text in zip(samples, TEXTS, strict=True)]


def settings(cases, output, steps=8, **text):
    model = {"encoder": "nano", "input_size": (32, 64, 64)}
    config = config_of(
        cases,
        output,
        text={"model": str(cases / "bert"), "pooling": "cls", "dim": 16} | text,
        data={"validation": [], "augment": False, "cache": True},
        optimiser={"steps": steps, "batch_size": 3, "lr": 1e-2, "mixed_precision": "no", "warmup": 0.0},
    )
    return replace(config, model=replace(config.model, language_model=None, **model))


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_states_are_those_of_the_text_encoder(cases, tmp_path, kind):
    """Padding of a batch changes nothing; both poolings are what their names say."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, bert = AutoTokenizer.from_pretrained(cases / kind), AutoModel.from_pretrained(cases / kind).eval()
    for pooling in ("cls", "mean"):
        stage = AlignEncoder(settings(cases, tmp_path, model=str(cases / kind), pooling=pooling), torch.device("cpu"))
        stage.eval()
        with torch.no_grad():
            ours = stage.text_states(list(TEXTS))
            alone = [bert(**tokenizer(t, return_tensors="pt")).last_hidden_state[0] for t in TEXTS]
        wanted = torch.stack([a[0] if pooling == "cls" else a.mean(0) for a in alone])
        assert torch.allclose(ours, wanted, atol=1e-5)


def test_pairs_are_learned_and_resumed_and_the_encoder_is_kept(cases, tmp_path, captioned):
    straight = train("align-encoder", settings(cases, tmp_path / "a"), samples=captioned)
    assert losses(straight)[-1] < 0.5 * losses(straight)[0]
    train("align-encoder", settings(cases, tmp_path / "b"), samples=captioned, stop_after=3)
    resumed = train("align-encoder", settings(cases, tmp_path / "b"), samples=captioned)
    assert losses(resumed) == losses(straight)
    state = load_file(tmp_path / "a" / "model" / "encoder.safetensors")
    encoder = DCFormer(SIZES["nano"])
    encoder.load_state_dict(state)  # strict
    # What was saved still tells the images apart by the texts that were saved beside it.
    heads = load_file(tmp_path / "a" / "model" / "text_alignment.safetensors")
    assert any(n.startswith("text.") for n in heads)
    stage = AlignEncoder(replace(settings(cases, tmp_path / "c"), model=replace(
        settings(cases, tmp_path / "c").model, encoder_weights=tmp_path / "a" / "model" / "encoder.safetensors",
    )), torch.device("cpu"))  # fmt: skip
    stage.load_trained(heads)
    stage.eval()
    with torch.no_grad():
        items = [{"image": torch.from_numpy(np.asarray(i["image"])), "turns": i["turns"]} for i in _items(captioned)]
        assert float(stage(items)["loss"]) == pytest.approx(losses(straight)[-1], rel=0.9)


def _items(samples):
    from medvl.training.datasets.samples import Turn
    from medvl.training.vlm.dataset import TrainingSet

    held = TrainingSet(samples, (32, 64, 64))
    return [held[n] | {"turns": [Turn("", samples[n].captions[0])]} for n in range(len(samples))]


@pytest.mark.parametrize("trained", [True, False])
def test_gradients_reach_what_is_trained_and_nothing_else(cases, tmp_path, captioned, trained):
    stage = AlignEncoder(settings(cases, tmp_path, trained=trained), torch.device("cpu"))
    stage.train()
    assert stage.text.training == trained
    stage(_items(captioned))["loss"].backward()
    missing = {n for n, p in stage.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
    # of a text's first state in the last layer no other position's query matters, and of BERT the pooler is not used
    assert not {n for n in missing if not n.endswith(("key.bias",))}
    reached = {n.split(".")[0] for n, p in stage.named_parameters() if p.grad is not None}
    assert reached == {"encoder", "image_head", "text_head", "log_scale", "bias"} | ({"text"} if trained else set())
    assert not any(p.requires_grad for n, p in stage.text.named_parameters() if "pooler" in n)


def test_without_a_text_encoder_a_language_model_is_needed(cases, tmp_path):
    with pytest.raises(ConfigError, match=r"model\.language_model"):
        AlignEncoder(settings(cases, tmp_path, model=None), torch.device("cpu"))
