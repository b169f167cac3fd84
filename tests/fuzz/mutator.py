"""Inputs made of valid ones: some bytes are changed, repeated, taken away, or replaced by what formats stumble over."""

import random
from collections.abc import Sequence

# White space and line ends, broken and unusual UTF-8, what YAML, JSON, markup and tags are made of, large numbers.
PIECES = [
    *(part.encode() for part in ("\n", "\r\n", "\r", "\t", " ", "\ufeff", "\u2028", "\x85", "\u3000", "\x00", "楚")),
    *(part.encode() for part in ("𠀀", "\ue000", "\U0010ffff", "\u0301", "。", "」", "O", "B-NR", "M-NR", "I-")),
    *(b"E-NR", b"S-NS", b"U-NS", b"L-NR", b"W-T"),
    *(b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe6\xa5", b"\\ud800", b"\\U0010ffff", b"\\n"),
    *(b"<NR>", b"</NR>", b"&lt;", b"&amp;", b"<", b">", b"&", b"/", b"-DOCSTART-", b"[", b"]", b"{", b"}", b":", b","),
    *(b'"', b"'", b"#", b"*a", b"&a ", b"<<: ", b"? ", b"- ", b"!!binary ", b"!!set ", b"!!timestamp ", b"2001-13-01"),
    *(b"null", b"true", b"~", b".nan", b".inf", b"NaN", b"Infinity", b"-1", b"0", b"1e999", b"9" * 30, b"9" * 5000),
    *(b"0x" + b"f" * 4000, b"[" * 3000, b'{"a":' * 3000, b"- " * 1500),
]  # fmt: skip
_CHARACTERS = "OBMESI-NRS0123456789.,:楚懷王秦𠀀\ue000\U000f0000\u0301\u2028\u3000\x85\ufeff \t\r<>&/'\"\\[]{}"
_LONGEST = 1 << 14


def mutated(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds with one to four changes; sometimes with a part of another."""
    data = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 2, 2, 3, 4))):
        data = changed(rng, data, seeds)
    return data[:_LONGEST]


def changed(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """One change: of bytes, of a character, or of a line."""
    return rng.choice((_bytes, _bytes, _character, _line))(rng, data, seeds)


def _bytes(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((0, 0, 1, 1, 2, 3, 8, 40)))
    kind = rng.randrange(7)
    if kind < 2:
        piece = rng.choice(PIECES)
    elif kind == 2:
        piece = b""
    elif kind == 3:
        piece = data[start:end] * rng.choice((2, 3, 50))
    elif kind == 4:
        piece = rng.randbytes(max(1, end - start))
    else:
        other = rng.choice((data, rng.choice(seeds)))
        at = rng.randrange(len(other) + 1)
        piece = other[at : at + rng.choice((1, 4, 16, 64, 512))]
    return data[:start] + piece + data[end:]


def _character(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    at = rng.randrange(len(text) + 1)
    new = rng.choice(
        ("", rng.choice(_CHARACTERS), chr(rng.choice((0x80, 0x3000, 0xD7FF, 0x10FFFF))), text[at - 1 : at])
    )
    return (text[:at] + new + text[at + 1 :]).encode("utf-8", "surrogateescape")


def _line(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    new = rng.choice((b"", lines[at], *rng.choices(lines, k=2), rng.choice(rng.choice(seeds).split(b"\n"))))
    lines[at : at + rng.choice((0, 0, 1))] = [new] * rng.choice((0, 1, 1, 2))
    return b"\n".join(lines)
