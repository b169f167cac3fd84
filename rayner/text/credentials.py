"""Find credentials in URLs, and hide them in texts that are printed or stored."""

import os
import re
from urllib.parse import unquote

HIDDEN = "***"
CREDENTIALS_IN_URL = (
    "expected a URL without user name, password, key or token, found one with them (or with : before @): put them into "
    "the environment"
)
_MIN_SECRET_CHARS = 8  # a shorter value of a variable may be an ordinary word
# Azure's own form of a URL, in which the container stands before the @.
_AZURE_CONTAINER = re.compile(r"(abfs|abfss|wasb|wasbs|az)://[a-z0-9$-]+@[a-z0-9-]+\.[a-z0-9.-]+", re.IGNORECASE)
_PORT_OR_NOTHING = re.compile(r"[^:@]*(:\d*)?|\[[0-9a-fA-F:.%]+\](:\d*)?")
_SECRET_NAME = (
    r"(?:[\w.-]*(?:secret|token|passw(?:or)?d|pwd|signature|credentials?|authorization)[\w.-]*"
    r"|[\w.-]*(?:access|account|api|private|storage|auth)[_.-]?key(?:[_.-]?id)?|x-amz-[\w-]+)"
)
_SECRET_PARAMETER = re.compile(rf"[?&;#](?:{_SECRET_NAME}|key|sig|sas|auth)=", re.IGNORECASE)
_URL = re.compile(r"\b[a-z][\w+.:-]*:/{1,3}[^\s'\"<>|]+", re.IGNORECASE)
_NAMED_VALUE = re.compile(
    rf"(\b{_SECRET_NAME}(?:=|[\"']\s*[:=]\s*)(?:b?[\"'])?)[^\s\"'&,;)}}\]]+|([?&](?:key|sig|sas|auth)=)[^\s\"'&;]+",
    re.IGNORECASE,
)
_HEADER = re.compile(r"(\bauthorization[\"']?\s*[:=]\s*[\"']?|\bbearer\s+)[^\"'\n]+", re.IGNORECASE)
# Access keys of AWS, tokens of Hugging Face, GitHub and Google, JSON web tokens.
_TOKEN_SHAPES = re.compile(
    r"\b(?:A(?:KI|SI)A[0-9A-Z]{16}|hf_[A-Za-z0-9]{20,}|gh[a-z]_[A-Za-z0-9]{20,}|ya29\.[\w-]+"
    r"|eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]+)?)"
)
_SECRET_VARIABLE = re.compile(r".*(SECRET|TOKEN|PASSWORD|ACCESS_KEY|ACCESS_KEY_ID|ACCOUNT_KEY|API_KEY|STORAGE_KEY)")


def holds_credentials(url: str) -> bool:
    """Return whether a URL holds a user name, a password, a key or a token.

    The secret may contain any character, even `/`. So every URL counts in which a `:` stands anywhere before an `@`.
    """
    _, separator, rest = unquote(url).partition("://")
    if not separator:
        return False
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return bool(
        re.search(r":.*@", rest, re.DOTALL)
        or ("@" in authority and not _AZURE_CONTAINER.match(url))
        or not ("@" in authority or _PORT_OR_NOTHING.fullmatch(authority) or "://" in rest)
        or _SECRET_PARAMETER.search(rest)
    )


def hide_credentials(text: str) -> str:
    """Replace credentials in a text by `***`.

    These are parts of URLs, values with names such as `aws_secret_access_key`, headers, keys and tokens of known
    forms, and the values of this process's environment variables that hold secrets.
    """
    for name, value in os.environ.items():
        if len(value) >= _MIN_SECRET_CHARS and _SECRET_VARIABLE.fullmatch(name) and not value.startswith("/"):
            text = text.replace(value, HIDDEN)
    text = _URL.sub(_hide_in_url, text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _NAMED_VALUE.sub(lambda match: f"{match[1] or match[2]}{HIDDEN}", text)
    return _TOKEN_SHAPES.sub(HIDDEN, text)


def _hide_in_url(match: re.Match[str]) -> str:
    url = match[0]
    scheme, rest = re.split(r":/{1,3}", url, maxsplit=1)
    if not holds_credentials(f"{scheme}://{rest}"):
        return url
    before_query = re.split(r"[?;#]", rest.rpartition("@")[2], maxsplit=1)[0]
    if "@" in rest:
        return f"{scheme}://{HIDDEN}@{before_query}"
    return f"{scheme}://{HIDDEN}" if ":" in unquote(rest) else f"{scheme}://{before_query}?{HIDDEN}"
