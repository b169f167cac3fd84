"""The tokens around a prompt: from templates built like those of published models, and without a template.

The templates here are written for these tests. They have the parts of the published ones that matter to a prompt.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, Qwen2Config

from rayner.errors import ConfigError
from rayner.llm.chat_template import render_text_around_prompt
from rayner.llm.prompt_encoder import load_prompt_encoder
from rayner.llm.prompts import build_instruction
from rayner.text.labelled_text import LabelledSentence
from rayner.text.markup import escape_char, spans_to_markup
from rayner.text.spans import Span
from tests.strategies import at_most, tagged_texts

BOS, EOS = "<bos>", "<eos>"
MARKS = [
    "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>",
    "<end_of_turn>", "<think>", "</think>",
]  # fmt: skip
QWEN25 = """
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou answer.<|im_end|>\\n' }}
{%- endif %}
{%- for m in messages if m.role != 'system' %}
    {{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}"""
QWEN3 = """
{%- for m in messages %}
    {{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""
LLAMA3 = """
{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%d %b %Y") %}
{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday: ' + date_string + '<|eot_id|>' }}
{%- for m in messages %}
    {{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}"""
GEMMA = """
{{- bos_token }}
{%- for m in messages %}
    {%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception("user and assistant take turns") }}
    {%- endif %}
    {%- if m['content'] is not string %}
        {{- raise_exception("text only") }}
    {%- endif %}
    {{- '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' }}
    {{- m['content'] | trim }}
    {{- '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<start_of_turn>model\\n' }}
{%- endif %}"""
FRAMES = {
    "qwen2.5": (
        QWEN25,
        "<|im_start|>system\nYou answer.<|im_end|>\n<|im_start|>user\n",
        "<|im_end|>\n<|im_start|>assistant\n",
    ),
    "qwen3": (QWEN3, "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"),
    "llama3": (
        LLAMA3,
        f"{BOS}<|start_header_id|>system<|end_header_id|>\n\nToday: 26 Jul 2024<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "gemma": (GEMMA, f"{BOS}<start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n"),
}
ADDED = {"bos": ([BOS], []), "bos_and_eos": ([BOS], [EOS]), "eos": ([], [EOS]), "none": ([], [])}
TYPES = ["NR", "NS"]


def write_tokenizer(folder, added="none", template=None):
    """A byte-level tokenizer that puts special tokens around every text."""
    alphabet = [BOS, EOS, *MARKS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    raw = Tokenizer(models.BPE({token: i for i, token in enumerate(alphabet)}, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([BOS, EOS, *MARKS])
    before, after = ADDED[added]
    pieces = " ".join([*before, "$A", *after])
    raw.post_processor = processors.TemplateProcessing(pieces, None, [(BOS, 0), (EOS, 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=BOS, eos_token=EOS)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    Qwen2Config().save_pretrained(folder)
    return tokenizer


def load(folder, *, chat=True, instruction=""):
    return load_prompt_encoder(folder, instruction=instruction, types=TYPES, chat=chat)


@pytest.mark.parametrize(("added", "expected"), [("bos", [0]), ("bos_and_eos", [0]), ("eos", []), ("none", [])])
@pytest.mark.parametrize("chat", [True, False])
def test_without_a_template_a_prompt_begins_with_what_the_tokenizer_puts_before_a_text(tmp_path, added, expected, chat):
    tokenizer = write_tokenizer(tmp_path, added)
    prompt = load(tmp_path, chat=chat, instruction="標注").prompt_tokens([], "楚")
    assert prompt[: len(expected)] == expected
    assert tokenizer.decode(prompt) == "".join(ADDED[added][0]) + "標注\n句：楚\n答："


def test_with_chat_off_a_template_is_not_used_but_bos_is(tmp_path):
    tokenizer = write_tokenizer(tmp_path, "bos", GEMMA)
    assert tokenizer.decode(load(tmp_path, chat=False).prompt_tokens([], "楚")) == f"{BOS}句：楚\n答："


def test_a_tokenizer_that_splits_otherwise_with_special_tokens_is_refused(tmp_path, monkeypatch):
    write_tokenizer(tmp_path)
    encode = PreTrainedTokenizerFast.encode
    monkeypatch.setattr(
        PreTrainedTokenizerFast, "encode",
        lambda self, text, add_special_tokens: encode(self, f" {text}"[not add_special_tokens :][:1]),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="expected the same tokens of '<' with and without special tokens"):
        load(tmp_path)


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("added", ADDED)
def test_a_template_stands_around_the_prompt_with_at_most_one_bos_and_thinking_off(tmp_path, name, added):
    template, before, after = FRAMES[name]
    tokenizer = write_tokenizer(tmp_path, added, template)
    prompt = load(tmp_path, instruction="標注").prompt_tokens([], "<楚&")
    assert tokenizer.decode(prompt) == f"{before}標注\n句：&lt;楚&amp;\n答：{after}"
    assert prompt.count(tokenizer.bos_token_id) == before.count(BOS)
    assert tokenizer.eos_token_id not in prompt


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(name.replace(".", "")) for name in FRAMES}
    tokenizers = {name: write_tokenizer(folder, "bos", FRAMES[name][0]) for name, folder in folders.items()}
    return {name: (tokenizers[name], load(folder, instruction=INSTRUCTION)) for name, folder in folders.items()}


INSTRUCTION = build_instruction({"NR": "人名", "NS": ""})


@at_most(30)
@given(shown=st.lists(tagged_texts(20), max_size=3), text=st.text("楚王 \n\t<&\u3000", max_size=9))
def test_a_prompt_reads_as_the_template_itself_renders_it(encoders, shown, text):
    """So what a template strips at the ends of a prompt, the instruction and the words before the answer protect."""
    examples = [LabelledSentence(text, tuple(span for span in spans if span.type in TYPES)) for text, spans in shown]
    lines = [f"{spans_to_markup(e.text, e.spans)}\n" for e in reversed(examples)]
    content = "".join([f"{INSTRUCTION}\n", *lines, "句：", *map(escape_char, text), "\n答："])
    for tokenizer, encoder in encoders.values():
        rendered = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True, tokenize=False, enable_thinking=False, date_string="26 Jul 2024",
        )  # fmt: skip
        assert tokenizer.decode(encoder.prompt_tokens(examples, text)) == rendered


USER = "{{ '<|im_start|>' + messages[0].content%s + '<|im_end|>' }}"


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (USER % " | e", "changes it or leaves it out"),
        (USER % " | replace('\\n', ' ')", "changes it or leaves it out"),
        (USER % ".split('。')[-1]", "changes it or leaves it out"),
        (USER % " | truncate(20)", "changes it or leaves it out"),
        (USER % " | replace('\\n\\n', '\\n')", "changes it or leaves it out"),
        (USER % "[0:0]", "changes it or leaves it out"),
        (USER % ".split() | join(' ')", "changes it or leaves it out"),
        ("{% for part in messages[0].content %}{{ part.text }}{% endfor %}", "changes it or leaves it out"),
        (USER % "" + USER % "", "writes it 2 times"),
        (USER % "" + "{{ messages[0].content | length }}", "other text depends on the prompt"),
        ("{{ raise_exception('a system prompt\\nis needed') }}", "fails: a system prompt is needed: set"),
        ("{{ 1 + messages[0].content }}", "fails: unsupported operand"),
        ("{{ messages[0].content.no.such }}", "fails: "),
        ("{% if %}", "fails: "),
        ({"a": USER % "", "b": USER % ""}, "fails: "),
    ],
)
def test_a_template_that_changes_drops_or_repeats_the_prompt_is_refused(tmp_path, template, found):
    write_tokenizer(tmp_path, "none", template)
    with pytest.raises(ConfigError, match="expected a chat template that writes the prompt once") as caught:
        load(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: ")
    assert message.endswith(": set llm.chat=false")
    assert found in message
    assert "\n" not in message
    assert load(tmp_path, chat=False).frame == ((), ())


def test_thinking_that_a_template_opens_in_any_case_is_closed(tmp_path):
    tokenizer = write_tokenizer(tmp_path, "none", USER % "" + "{{ '<think>\\n' }}")
    prompt = load(tmp_path).prompt_tokens([], "楚")
    assert tokenizer.decode(prompt).endswith("答：<|im_end|><think>\n\n</think>\n\n")


def test_the_text_around_a_prompt_is_the_same_every_day(tmp_path):
    today = "{{ strftime_now('%Y-%m-%d') }}" + USER % "" + "{{ strftime_now('%d %B %Y') }}"
    tokenizer = write_tokenizer(tmp_path, "none", today)
    assert render_text_around_prompt(tokenizer, tmp_path) == ("26 Jul 2024<|im_start|>", "<|im_end|>26 Jul 2024")


def test_a_template_in_the_tokenizers_configuration_is_found(tmp_path):
    write_tokenizer(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": USER % ""}))
    examples = [LabelledSentence("楚王", (Span(0, 2, "NR"),))]
    encoder = load(tmp_path)
    prompt = encoder.tokenizer.tokenizer.decode(encoder.prompt_tokens(examples, "怒"))
    assert prompt == "<|im_start|><NR>楚王</NR>\n句：怒\n答：<|im_end|>"
