"""Both objectives, on tiny models: losses as in transformers, and an ordinary checkpoint."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForMaskedLM, ElectraForMaskedLM, ElectraForPreTraining

from rayner.config.model_settings import EncoderScratchConfig
from rayner.errors import ConfigError
from rayner.modeling.scratch import write_scratch_bert, write_scratch_electra
from rayner.modeling.tokenizer import CharTokenizer, load_tokenizer
from rayner.pretraining.objectives import (
    GENERATOR_FOLDER,
    _sample,
    list_ordinary_tokens,
    load_objective,
    require_fitting_checkpoint,
)
from rayner.pretraining.training_order import mask_step
from rayner.taggers.encoder import load_encoder_tagger

CPU = torch.device("cpu")
SHAPE = EncoderScratchConfig(hidden=32, layers=2, heads=2, intermediate=64, min_count=1)
TEXT = "楚使怒去歸告懷王懷王大怒發兵攻秦秦發兵擊之大破楚師於丹淅斬首八萬"


@pytest.fixture
def folders(tmp_path):
    """An untrained checkpoint for each objective."""
    write_scratch_electra(tmp_path / "replaced", Counter(TEXT), SHAPE, seed=1)
    write_scratch_bert(tmp_path / "masked", Counter(TEXT), SHAPE, seed=1)
    return tmp_path


def loaded(name, folder, seed=3):
    tokenizer = CharTokenizer(load_tokenizer(folder))
    objective = load_objective(name, folder, tokenizer, CPU, seed)
    return objective, tokenizer


def hidden_windows(tokenizer, share=0.3):
    special = tokenizer.tokenizer
    chars = [token for (token,) in tokenizer.encode_chars(TEXT)]
    rows = [[special.cls_token_id, *chars[i : i + 12], special.sep_token_id] for i in range(0, len(chars) - 12, 4)]
    return mask_step(np.array(rows), list_ordinary_tokens(tokenizer), share, 5, 0)


def test_the_loss_at_hidden_characters_is_that_of_the_library(folders):
    objective, tokenizer = loaded("masked", folders / "masked")
    windows = hidden_windows(tokenizer)
    tokens, is_hidden = torch.from_numpy(windows.tokens), torch.from_numpy(windows.is_hidden)
    shown = tokens.clone()
    for place in zip(*np.nonzero(windows.is_hidden), strict=True):
        draw = windows.draws[place]
        if draw < 0.8:
            shown[place] = tokenizer.tokenizer.mask_token_id
        elif draw < 0.9:
            shown[place] = int(windows.random_tokens[place])
    assert {*(shown == tokens)[is_hidden].tolist()} == {True, False}
    model = AutoModelForMaskedLM.from_pretrained(folders / "masked").eval()
    expected = model(input_ids=shown, labels=tokens.masked_fill(~is_hidden, -100)).loss
    torch.testing.assert_close(objective(windows), expected)


def test_the_loss_of_replaced_characters_is_the_sum_of_those_of_the_library(folders):
    objective, tokenizer = loaded("replaced", folders / "replaced")
    windows = hidden_windows(tokenizer)
    objective.save(folders / "saved")
    generator = ElectraForMaskedLM.from_pretrained(folders / "saved" / GENERATOR_FOLDER).eval()
    encoder = ElectraForPreTraining.from_pretrained(folders / "saved").eval()
    tokens, is_hidden = torch.from_numpy(windows.tokens), torch.from_numpy(windows.is_hidden)
    out = generator(
        input_ids=tokens.masked_fill(is_hidden, tokenizer.tokenizer.mask_token_id),
        labels=tokens.masked_fill(~is_hidden, -100),
    )
    replaced = tokens.clone()
    for place in zip(*np.nonzero(windows.is_hidden), strict=True):
        cumulated = out.logits[place].softmax(-1).cumsum(-1)
        replaced[place] = int((cumulated <= windows.draws[place] * cumulated[-1]).sum())
    assert (replaced != tokens)[is_hidden].float().mean() > 0.5
    expected = out.loss + 50 * encoder(input_ids=replaced, labels=(replaced != tokens).long()).loss
    torch.testing.assert_close(objective(windows), expected)


@given(weights=st.lists(st.floats(0, 1), min_size=2, max_size=9).filter(any), draw=st.floats(0, 1, exclude_max=True))
def test_a_draw_takes_the_token_in_whose_part_of_the_probabilities_it_lies(weights, draw):
    logits = torch.tensor([weights], dtype=torch.float64).log()
    (token,) = _sample(logits, torch.tensor([draw], dtype=torch.float64)).tolist()
    cumulated = (torch.tensor(weights, dtype=torch.float64) / sum(weights)).cumsum(-1)
    before = float(cumulated[token - 1]) if token else 0.0
    assert before - 1e-9 <= draw <= float(cumulated[token]) + 1e-9


def test_the_generator_is_a_quarter_as_wide_and_shares_the_embeddings_also_after_a_step(folders):
    objective, tokenizer = loaded("replaced", folders / "replaced")
    encoder, generator = objective.encoder, objective.generator
    assert generator.config.hidden_size == 8
    assert generator.config.num_hidden_layers == encoder.config.num_hidden_layers
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.1)
    before = encoder.electra.embeddings.word_embeddings.weight.detach().clone()
    objective(hidden_windows(tokenizer)).backward()
    optimizer.step()
    shared = encoder.electra.embeddings.word_embeddings.weight
    assert generator.electra.embeddings.word_embeddings.weight is shared
    assert generator.generator_lm_head.weight is shared
    assert not shared.equal(before)
    names = [name for name, _ in objective.named_parameters()]
    assert len([name for name in names if "word_embeddings" in name]) == 1
    assert all(parameter.grad is not None for parameter in objective.parameters())


@pytest.mark.parametrize("name", ["replaced", "masked"])
def test_what_is_saved_is_loaded_with_the_same_loss_and_as_a_tagger(folders, name):
    objective, tokenizer = loaded(name, folders / name)
    windows = hidden_windows(tokenizer)
    objective.save(folders / "saved")
    tokenizer.tokenizer.save_pretrained(folders / "saved")
    again, _ = loaded(name, folders / "saved", seed=99)  # nothing is made anew
    assert again(windows).equal(objective(windows))
    tagger = load_encoder_tagger(folders / "saved", CPU, ("O", "S-NR"))
    assert len(tagger.predict([TEXT])[0].entropy) == len(TEXT)
    name_of_embeddings = f"{tagger.model.base_model_prefix}.embeddings.word_embeddings.weight"
    assert dict(tagger.model.named_parameters())[name_of_embeddings].equal(
        dict(objective.encoder.named_parameters())[name_of_embeddings]
    )
    assert tagger.model.config.hidden_dropout_prob == SHAPE.dropout


def test_dropout_is_off(folders):
    for name in ("replaced", "masked"):
        objective, tokenizer = loaded(name, folders / name)
        windows = hidden_windows(tokenizer)
        assert objective(windows).equal(objective(windows))


def test_a_new_generator_depends_on_the_seed_alone(folders):
    first, second, other = (loaded("replaced", folders / "replaced", seed)[0] for seed in (3, 3, 4))
    weights = [
        dict(each.generator.named_parameters())["generator_predictions.dense.weight"] for each in (first, second, other)
    ]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])


def test_a_checkpoint_that_does_not_fit_the_objective_is_refused(folders):
    with pytest.raises(
        ConfigError, match=r"expected a checkpoint of electra for pretrain.objective=replaced, found one of bert"
    ):
        require_fitting_checkpoint("replaced", folders / "masked")
    assert require_fitting_checkpoint("masked", folders / "replaced") == 512
    path = folders / "masked" / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in config.items() if key != "mask_token"}))
    with pytest.raises(ConfigError, match="expected a tokenizer with a mask_token, found none"):
        loaded("masked", folders / "masked")
