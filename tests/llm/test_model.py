import dataclasses
import math

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from rayner.config.model_settings import LoraConfig
from rayner.errors import ConfigError
from rayner.llm import model as llms
from rayner.llm import sft
from rayner.llm.position_chunks import map_position_chunks
from rayner.text.hints import HintEntity
from rayner.text.labelled_text import LabelledSentence
from rayner.text.markup import escape_char, spans_to_markup
from rayner.text.spans import Span
from rayner.text.tag_grammar import TokenRole
from tests.checkpoints import composed, load_llm, truncated
from tests.llm.test_position_chunks import LargestTensor
from tests.strategies import at_most, hints, spans_in, tagged_texts

LORA = LoraConfig(r=4, alpha=8, dropout=0.1)
examples = tagged_texts(20).map(lambda drawn: LabelledSentence(*drawn))


def written(task, shown, text):
    """The prompt as a human reads it."""
    lines = [f"{task}\n"] if task else []
    lines += [f"{spans_to_markup(e.text, e.spans)}\n" for e in reversed(shown)]
    return "".join([*lines, "句：", *map(escape_char, text), "\n答："])


@at_most(40)
@given(shown=st.lists(examples, max_size=3), drawn=tagged_texts(20))
def test_a_prompt_reads_as_task_examples_and_sentence(random_llm, shown, drawn):
    text, _ = drawn
    assert random_llm.tokenizer.tokenizer.decode(random_llm.prompt_tokens(shown, text)) == composed(
        written("標注：", shown, text)
    )


def hinted(llm, hint):
    """The same LLM, whose prompts show a hint."""
    return dataclasses.replace(llm, hint=hint)


@at_most(40)
@given(drawn=tagged_texts(20), data=st.data(), style=st.sampled_from(["tags", "confidence"]))
def test_a_prompt_with_a_hint_shows_the_sentence_as_the_small_model_tagged_it(random_llm, drawn, data, style):
    text, spans = drawn
    hint = data.draw(hints(spans))
    encode = random_llm.tokenizer.encode_prose
    line = list(encode("初標："))
    at = 0
    for entity in hint:
        start, end, kind = entity.span.start, entity.span.end, entity.span.type
        line += [token for char in text[at:start] for token in encode(escape_char(char))]
        line += [*encode("<"), *encode(kind), *encode(">")]
        line += [token for char in text[start:end] for token in encode(escape_char(char))]
        line += [*encode("</"), *encode(kind), *encode(">")]
        tenths = round(entity.confidence * 10)
        line += encode(f"（{tenths}0%）".replace("（00", "（0")) if style == "confidence" and tenths < 10 else ()
        at = end
    line += [token for char in text[at:] for token in encode(escape_char(char))]
    found = hinted(random_llm, style).prompt_tokens([], text, hint)
    assert found == [*random_llm.instruction_tokens(), *line, *encode("\n答：")]
    assert random_llm.prompt_tokens([], text, hint) == random_llm.prompt_tokens([], text)


def test_examples_show_no_hint_and_a_prompt_that_shows_one_needs_it(random_llm, sentences):
    llm = hinted(random_llm, "tags")
    assert llm.example_tokens(sentences[:2]) == random_llm.example_tokens(sentences[:2])
    with pytest.raises(ValueError, match="expected the small model's entities"):
        llm.prompt_tokens([], "楚王")
    assert llm.prompt_tokens([], "楚王", []) == llm.prompt_tokens([], "楚王", ())  # it found nothing


def test_a_training_example_has_the_hint_in_its_prompt_and_the_gold_tags_in_its_answer(random_llm):
    right, hint = LabelledSentence("楚王", (Span(0, 1, "NG"),)), [HintEntity(Span(0, 2, "NR"), 0.7)]
    llm = hinted(random_llm, "confidence")
    taught = sft.build_sft_example(llm, [], right, hint)
    assert taught.prompt == llm.prompt_tokens([], "楚王", hint)
    assert taught.answer == sft.build_sft_example(random_llm, [], right).answer


@at_most(40)
@given(drawn=tagged_texts(20), data=st.data())
def test_a_window_of_a_training_sentence_has_the_hint_of_its_part(drawn, data):
    text, spans = drawn
    hint = data.draw(hints(data.draw(spans_in(len(text)))))
    parts = sft.split_long_sentence(sft.SftSentence(text, spans, hint=hint), 6, 2)
    at = 0
    for k, part in enumerate(parts):
        at = len(text) - len(part.text) if k == len(parts) - 1 else k * 4
        shifted = [(entity.span.shift(at), entity.confidence) for entity in part.hint]
        assert shifted == [(e.span, e.confidence) for e in hint if at <= e.span.start and e.span.end <= at + 6]


def test_a_prompt_without_task_begins_with_the_sentence(decoder_folder, types):
    llm = load_llm(decoder_folder, types, instruction="")
    assert llm.tokenizer.tokenizer.decode(llm.prompt_tokens([], "楚王")) == "句：楚王\n答："


@at_most(40)
@given(drawn=tagged_texts(20))
def test_no_token_of_a_prompt_straddles_characters_or_tags(random_llm, drawn):
    text, spans = drawn
    encode = random_llm.tokenizer.encode_prose
    alone = [encode(escape_char(char)) for char in text]
    head, tail = (
        [*encode("標注：\n"), *encode("句：")],
        [*encode("\n答：")],
    )
    assert random_llm.prompt_tokens([], text) == [*head, *(token for tokens in alone for token in tokens), *tail]
    begins, ends = {s.start: s for s in spans}, {s.end: s for s in spans}
    line = []
    for i in range(len(text) + 1):
        if i in ends:
            line += [
                *encode("</"),
                *encode(ends[i].type),
                *encode(">"),
            ]
        if i in begins:
            line += [
                *encode("<"),
                *encode(begins[i].type),
                *encode(">"),
            ]
        line += alone[i] if i < len(text) else encode("\n")
    shown = random_llm.prompt_tokens([LabelledSentence(text, spans)], "楚")
    at = len(encode("標注：\n"))
    assert shown[at : at + len(line)] == line


@at_most(40)
@given(drawn=tagged_texts(20))
def test_the_right_answer_reads_as_the_tagged_sentence(random_llm, drawn):
    text, spans = drawn
    taught = sft.build_sft_example(random_llm, [], LabelledSentence(text, spans))
    assert random_llm.tokenizer.tokenizer.decode(taught.answer) == composed(spans_to_markup(text, spans))
    assert taught.prompt == random_llm.prompt_tokens([], text)
    assert len(taught) == len(taught.prompt) + len(taught.answer)
    spelled = list(random_llm.build_grammar(text).spell_answer(spans))
    assert (taught.answer, taught.allowed) == ([step.token for step in spelled], [step.allowed for step in spelled])
    assert [step.slot for step in spelled if step.role is TokenRole.OPEN] == [span.start for span in spans]


def test_an_example_may_hold_a_type_that_the_model_may_not_write(random_llm):
    prompt = random_llm.prompt_tokens([LabelledSentence("楚王", (Span(0, 2, "ZD"),))], "楚")
    assert "<ZD>楚王</ZD>\n" in random_llm.tokenizer.tokenizer.decode(prompt)


def test_the_chat_template_stands_around_the_prompt(chat_folder, types):
    llm = load_llm(chat_folder, types, chat=True)
    shown = [LabelledSentence("楚王<", (Span(0, 2, "NR"),))]
    expected = f"[user]{written('標注：', shown, '怒&')}[/][bot]"
    assert llm.tokenizer.tokenizer.decode(llm.prompt_tokens(shown, "怒&")) == expected


def test_no_chat_template_stands_where_none_is_wanted_or_there_is_none(chat_folder, decoder_folder, types):
    bare = load_llm(decoder_folder, types, chat=False).prompt_tokens([], "楚王")
    assert load_llm(chat_folder, types, chat=False).prompt_tokens([], "楚王") == bare
    assert load_llm(decoder_folder, types, chat=True).prompt_tokens([], "楚王") == bare


@pytest.mark.parametrize("name", ["", "no/such/folder/anywhere"])
def test_a_folder_without_a_checkpoint_is_a_config_error(tmp_path, types, name):
    with pytest.raises(ConfigError, match="expected a checkpoint of a causal model"):
        load_llm(tmp_path / name, types)


def test_truncated_weights_are_a_config_error(decoder_folder, types, tmp_path):
    with pytest.raises(ConfigError, match="expected a checkpoint of a causal model"):
        load_llm(truncated(decoder_folder, tmp_path / "half"), types)


def test_a_folder_without_an_adapter_is_a_config_error(decoder_folder, types, tmp_path):
    with pytest.raises(ConfigError, match="adapter"):
        load_llm(decoder_folder, types, adapter=tmp_path)


@at_most(60)
@given(drawn=tagged_texts(40), size=st.integers(1, 20), share=st.floats(0, 0.99))
def test_pieces_cover_a_sentence_and_hold_its_whole_entities(drawn, size, share):
    example = sft.SftSentence(*drawn)
    overlap = int(size * share)
    parts = sft.split_long_sentence(example, size, overlap)
    if len(example.text) <= size:
        assert parts == [example]
        return
    at, found = 0, set()
    for k, part in enumerate(parts):
        assert len(part.text) == size
        at = len(example.text) - size if k == len(parts) - 1 else k * (size - overlap)
        assert example.text[at : at + size] == part.text
        shifted = {span.shift(at) for span in part.spans}
        assert shifted == {s for s in example.spans if at <= s.start and s.end <= at + size}
        found |= shifted
    assert {s for s in example.spans if s.end - s.start <= overlap + 1} <= found


# ---- the training loss


@pytest.fixture(scope="module")
def chosen(sentences):
    odd = LabelledSentence("楚\ue000<王&怒", (Span(0, 2, "NR"), Span(2, 4, "NS")))
    plain = LabelledSentence("怒去", ())
    return [*sentences[:3], odd, plain]


def sft_examples_for(llm, chosen):
    return [sft.build_sft_example(llm, chosen[:k], right) for k, right in enumerate(chosen)]


def losses(model, item, loss_over, end):
    """Cross entropy of every token that a lesson teaches, one full forward pass, no padding."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*item.prompt, *item.answer]])).logits[0].double()
    found = []
    for k, (right, allowed) in enumerate(zip(item.answer, item.allowed, strict=True)):
        row = logits[len(item.prompt) + k - 1]
        if loss_over == "all":
            found.append(-float(row.log_softmax(-1)[right]))
        elif len(allowed) > 1:
            among = {token: math.exp(float(row[token])) for token in allowed}
            found.append(-math.log(among[right] / sum(among.values())))
    if loss_over == "all":
        found.append(-float(logits[-1].log_softmax(-1)[end]))
    return found


@pytest.mark.parametrize("loss_over", ["all", "allowed"])
@pytest.mark.parametrize("lora", [False, True])
def test_the_loss_is_the_sum_over_all_that_is_taught(random_llm, fresh_llm, chosen, loss_over, lora):
    llm = random_llm
    if lora:
        llm = fresh_llm
        llm.model = llms.add_lora(llm.model, LORA).eval()
        torch.manual_seed(4)
        with torch.no_grad():
            for name, parameter in llm.model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_()
    items = sft_examples_for(llm, chosen)
    assert len({len(item) for item in items}) == len(items)  # so there is padding
    end = llm.tokenizer.tokenizer.eos_token_id
    expected = [losses(llm.model, item, loss_over, end) for item in items]
    sft_loss = sft.SftLoss(llm, loss_over)
    with torch.no_grad():
        assert float(sft_loss(items)) == pytest.approx(np.sum(np.concatenate(expected)), rel=1e-5)
        assert float(sft_loss(items[3:4])) == pytest.approx(np.sum(expected[3]), rel=1e-5)
        assert float(sft_loss([])) == 0


@pytest.mark.parametrize("loss_over", ["all", "allowed"])
def test_every_parameter_learns(fresh_llm, chosen, loss_over):
    sft_loss = sft.SftLoss(fresh_llm, loss_over)
    sft_loss(sft_examples_for(fresh_llm, chosen)).backward()
    still = [name for name, p in sft_loss.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not still


def gradients(sft_loss, batches):
    """Of the sum over batches."""
    sft_loss.zero_grad()
    for batch in batches:
        sft_loss(batch).backward()
    return {name: p.grad.clone() for name, p in sft_loss.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("loss_over", ["all", "allowed"])
@pytest.mark.parametrize("lora", [False, True])
def test_batches_of_any_size_have_the_gradient_of_the_whole(fresh_llm, chosen, loss_over, lora):
    if lora:
        fresh_llm.model = llms.add_lora(fresh_llm.model, LoraConfig(r=4, alpha=8, dropout=0))
    sft_loss = sft.SftLoss(fresh_llm, loss_over)
    items = sft_examples_for(fresh_llm, chosen)
    whole = gradients(sft_loss, [items])
    assert any(gradient.abs().max() > 0 for gradient in whole.values())
    for batches in ([[item] for item in items], [items[3:], [], items[:3]]):
        parts = gradients(sft_loss, batches)
        assert parts.keys() == whole.keys()
        for name, gradient in whole.items():
            torch.testing.assert_close(parts[name], gradient, atol=1e-5 * float(gradient.abs().max()), rtol=1e-5)
    assert all(not gradient.any() for gradient in gradients(sft_loss, [[]]).values())


@pytest.mark.parametrize("loss_over", ["all", "allowed"])
def test_the_loss_in_chunks_of_positions_equals_the_loss_at_once(fresh_llm, chosen, loss_over, monkeypatch):
    sft_loss = sft.SftLoss(fresh_llm, loss_over)
    items = sft_examples_for(fresh_llm, chosen)
    found = []
    for chunk_logits in (2**25, 1):  # all positions at once, one position at a time
        monkeypatch.setattr(map_position_chunks, "__kwdefaults__", {"chunk_logits": chunk_logits})
        found.append((float(sft_loss(items).detach()), gradients(sft_loss, [items])))
    (whole, expected), (parts, gradient) = found
    assert parts == pytest.approx(whole, rel=1e-6)
    for name in expected:
        torch.testing.assert_close(
            gradient[name], expected[name], atol=1e-6 * float(expected[name].abs().max()), rtol=1e-6
        )


def test_a_vocabulary_as_large_as_qwens_needs_logits_of_one_chunk_of_positions():
    """For all 1,000 positions they would be 152 M numbers; and a backward pass over them the same again, twice."""
    n_positions, n_tokens, width = 1000, 152_064, 4
    config = transformers.Qwen2Config(
        vocab_size=n_tokens, hidden_size=width, num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1,
        intermediate_size=4,
    )  # fmt: skip
    output_loss = sft.OutputLoss(transformers.Qwen2ForCausalLM(config))
    hidden = torch.randn(n_positions, width, requires_grad=True)
    with LargestTensor() as largest:
        output_loss(hidden, torch.arange(n_positions), None).backward()
    assert n_tokens * 200 < largest.numel <= 2**25 < n_tokens * n_positions
    assert hidden.grad.abs().max() > 0


def test_an_adapter_on_the_output_layer_is_refused(fresh_llm):
    fresh_llm.model = llms.add_lora(fresh_llm.model, LoraConfig(r=2, alpha=4, targets=["lm_head"]))
    with pytest.raises(ConfigError, match=r"^llm.lora.targets: expected modules without the output layer"):
        sft.SftLoss(fresh_llm, "all")


def trained_adapter(llm, chosen, steps=5):
    torch.manual_seed(5)
    llm.model = llms.add_lora(llm.model, LORA)
    sft_loss = sft.SftLoss(llm, "allowed")
    optimizer = torch.optim.AdamW([p for p in llm.model.parameters() if p.requires_grad], lr=1e-2)
    items = sft_examples_for(llm, chosen)
    found = []
    llm.model.train()
    for _ in range(steps):
        loss = sft_loss(items)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(float(loss.detach()))
    llm.model.eval()
    return found


def logits_of(llm):
    with torch.no_grad():
        return llm.model(input_ids=torch.tensor([llm.prompt_tokens([], "楚王怒去")])).logits


def test_an_adapter_learns_alone_and_reloads_to_the_same_model(fresh_llm, decoder_folder, types, chosen, tmp_path):
    base = {name: tensor.clone() for name, tensor in fresh_llm.model.state_dict().items()}
    untrained = logits_of(fresh_llm)
    found = trained_adapter(fresh_llm, chosen)
    assert found[-1] < found[0]
    trainable = {name for name, p in fresh_llm.model.named_parameters() if p.requires_grad}
    assert trainable
    assert all("lora_" in name for name in trainable)
    kept = {
        name.replace(".base_layer", ""): tensor
        for name, tensor in fresh_llm.model.get_base_model().state_dict().items()
        if "lora_" not in name
    }
    assert kept.keys() == base.keys()
    assert all(torch.equal(kept[name], base[name]) for name in base)

    fresh_llm.model.save_pretrained(tmp_path)
    again = load_llm(decoder_folder, types, adapter=tmp_path)
    assert not hasattr(again.model, "peft_config")  # merged
    trained = logits_of(fresh_llm)
    torch.testing.assert_close(logits_of(again), trained, atol=1e-4, rtol=0)
    assert (trained - untrained).abs().max() > 0.01


def test_named_modules_alone_get_an_adapter(fresh_llm):
    config = LoraConfig(r=2, alpha=4, targets=["q_proj", "v_proj"])
    adapted = llms.add_lora(fresh_llm.model, config)
    names = {name.split(".lora_")[0].rsplit(".", 1)[1] for name, p in adapted.named_parameters() if p.requires_grad}
    assert names == {"q_proj", "v_proj"}


def test_all_linear_modules_get_an_adapter(fresh_llm):
    adapted = llms.add_lora(fresh_llm.model, LORA)
    names = {name.split(".lora_")[0].rsplit(".", 1)[1] for name, p in adapted.named_parameters() if p.requires_grad}
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_the_arithmetic_is_the_one_asked_for(decoder_folder, types):
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        assert {p.dtype for p in load_llm(decoder_folder, types, dtype=name).model.parameters()} == {dtype}
