"""The chat template of an LLM: the text that it writes before and after a prompt.

A prompt is put together from tokens, so that no token crosses the boundary of a character. A template renders text. So
it is rendered with test prompts, and only the text around them is used.
"""

from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from rayner.errors import ConfigError

# They hold what templates escape, replace or split. Like real prompts they have no white space at their ends, because
# many templates strip it.
_TEST_PROMPTS = (
    "句：楚\n答：",
    "標注「楚」。\n <NR>楚</NR>&lt;&amp; \\n'\"{{ 懷 }}{% 王 %} **A**\r\n\n\n句：楚  懷\t王\u3000\ue000\n答：",
)
# Some templates write the day's date. Then a corpus tagged tomorrow would differ from the same corpus tagged today.
_DATE = "26 Jul 2024"
_FIXED_CLOCK = f"{{% macro strftime_now(format) %}}{_DATE}{{% endmacro %}}"
_THINKING_OPENS, _THINKING_CLOSES = "<think>", "\n\n</think>\n\n"
_EXPECTED, _REMEDY = "expected a chat template that writes the prompt once and unchanged", "set llm.chat=false"


def render_text_around_prompt(tokenizer: Any, base: str | Path) -> tuple[str, str]:  # noqa: ANN401 - see load_tokenizer
    """Render the chat template of a tokenizer; return the text before a prompt and the text between it and the answer.

    Thinking is switched off: by the variable `enable_thinking` or, if the template opens thinking nevertheless, by an
    empty thought. A date in the text is the same every day.

    Args:
        tokenizer: A transformers tokenizer with a chat template.
        base: The checkpoint folder or hub name, for messages.

    Raises:
        ConfigError: The template cannot be rendered, the prompt is not in its text exactly once and unchanged, or the
            other text depends on the prompt.

    """
    frames = {_split_at_prompt(_render(tokenizer, prompt, base), prompt, base) for prompt in _TEST_PROMPTS}
    if len(frames) > 1:
        raise ConfigError(f"{base}: {_EXPECTED}, found one whose other text depends on the prompt: {_REMEDY}")
    before, after = frames.pop()
    opens_thinking = after.rstrip().endswith(_THINKING_OPENS)
    return before, f"{after.rstrip()}{_THINKING_CLOSES}" if opens_thinking else after


def _render(tokenizer: Any, prompt: str, base: str | Path) -> str:  # noqa: ANN401 - see load_tokenizer
    try:
        template: str = tokenizer.get_chat_template()
        rendered: str = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            chat_template=_FIXED_CLOCK + template if "strftime_now" in template else template,
            add_generation_prompt=True,
            tokenize=False,
            enable_thinking=False,
            date_string=_DATE,
        )
    except (TemplateError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{base}: {_EXPECTED}, found one that fails: {reason}: {_REMEDY}") from error
    return rendered


def _split_at_prompt(rendered: str, prompt: str, base: str | Path) -> tuple[str, str]:
    count = rendered.count(prompt)
    if count != 1:
        found = f"writes it {count} times" if count else "changes it or leaves it out"
        raise ConfigError(f"{base}: {_EXPECTED}, found one that {found}: {_REMEDY}")
    before, _, after = rendered.partition(prompt)
    return before, after
