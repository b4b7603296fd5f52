"""Secrets out of texts: one redactor knows the run's secrets and the common shapes of others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MemberDescriptorType

from asyncrun.escape import readings, strip_blanks, unescaped

MASK = "***"
SECRET_PIECE = 8
"""Characters of a secret that are as good as all of it to whoever looks for it."""
SECRET_HINT = 5
"""Characters that are looked for first: the fewer places there are where they stand, the sooner a text is known to hold no secret."""
LEAST_OF_WORDS = 12
"""Small letters of a secret that no ordinary word has in the same order."""
_SCHEMES = ("bearer", "basic", "token")
LONGEST_WRITTEN = 2_000
"""Characters that a secret takes up at most where it is written with escapes."""

# A sentence about the key, a variable, or the name of a file is no key.
_NO_KEY = r"""(?!(?<=: )[a-z]{1,8} [a-z$]|["']?\$\{\w+\}(?![^\s"',;&}\]])|\{file:)"""
_SHAPES = (
    (re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)\s+)[^\s\"',;]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)((?:x-)?(?:goog-)?api[-_]?key[\"']?\s*[:=]\s*{_NO_KEY}[\"']?)[^\s\"',;&]+"), rf"\1{MASK}"),
    (re.compile(r"://[^/\s:@]+(?::[^/\s@]*)?@"), f"://{MASK}@"),
    (re.compile(r"(?i)([?&](?:key|token|api_key|access_token|sig|signature)=)[^&\s#]+"), rf"\1{MASK}"),
    (re.compile(r"\b(?:sk|pk|hf|al|pa|gsk|jina|hk)[-_][A-Za-z0-9_-]{16,}"), MASK),
)


class Redactor:
    """Replaces secrets by `***`, however they are written, and parts of them; the key of `Bearer KEY` and an address's password, too.

    A secret is found with escapes (of JSON, addresses, HTML), in base64, also within a longer one, in hexadecimal digits, and between what
    splits it: white space, tags, characters that are not seen. Eight characters of it are enough, of small letters alone twelve: those
    might be a word. One of less than eight characters, and an address, are found whole. The time is linear in the length of the text.

    >>> Redactor(["hunter2hunter2"]).redact("key hunter2hunter2 refused, and so is %68unter2h...")
    'key *** refused, and so is ***...'
    >>> Redactor(["https://me:hunter%2F2@host/ping"]).redact("hunter/2 refused")
    '*** refused'
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        parts = {part for secret in secrets for part in _parts(secret)}
        whole = {form for part in parts if _is_whole(part) for form in _written(part)}
        # Longest first, so that a secret that contains another leaves nothing behind; under 4 characters would mask words.
        self._whole = sorted((form for form in whole if len(form) >= 4), key=len, reverse=True)
        forms = {strip_blanks(form) for part in parts if not _is_whole(part) for form in _forms(part)}
        self._pieces = frozenset(piece for form in forms for piece in _pieces(form, SECRET_PIECE))
        self._hints = frozenset(piece for form in forms for piece in _pieces(form, SECRET_HINT))

    def redact(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._whole:
            text = text.replace(secret, MASK)
        if self._pieces and len(text) >= SECRET_PIECE:
            text = _masked(text, [place for reading in readings(text) for place in reading.places(self._found(reading.text))])
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text

    def beginning(self, text: str, most: int) -> str:
        """Return the beginning of a text without secrets, about as many characters as are asked for; none is cut in two at its end."""
        end = most + LONGEST_WRITTEN
        return self.redact(text) if len(text) <= end else self.redact(text[:end])[:-LONGEST_WRITTEN]

    def _found(self, text: str) -> list[tuple[int, int]]:
        """Return where a text has as much of a secret as gives it away."""
        # Wherever a piece stands, one of these stands in it: most texts hold none.
        if self._hints.isdisjoint([text[at : at + SECRET_HINT] for at in range(0, len(text), SECRET_PIECE - SECRET_HINT + 1)]):
            return []
        found: list[tuple[int, int]] = []
        for at in range(len(text) - SECRET_PIECE + 1):
            if text[at : at + SECRET_PIECE] in self._pieces:
                start = found.pop()[0] if found and at < found[-1][1] else at
                found.append((start, at + SECRET_PIECE))
        return [(start, end) for start, end in found if _tells(text[start:end])]


def redact_error(error: BaseException, redact: Callable[[str], str]) -> None:
    """Take secrets out of the words of an error, and of those that led to it: whoever shows it may not know them."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        for name in ("args", "__notes__", *vars(one), *_members(type(one))):
            value = getattr(one, name, None)
            clean = _redacted(value, redact)
            if clean is not value:
                with suppress(AttributeError, TypeError):  # what nobody may set stays
                    object.__setattr__(one, name, clean)
        waiting += [one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]


def _members(kind: type) -> Iterator[str]:
    """Yield the names of what exceptions of a type hold outside of their dictionary, such as the file's name in an OSError."""
    for base in kind.__mro__:
        yield from (name for name, member in vars(base).items() if isinstance(member, MemberDescriptorType))


def _redacted(value: object, redact: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, tuple | list) and any(isinstance(word, str) for word in value) and type(value) in (tuple, list):
        return type(value)(redact(word) if isinstance(word, str) else word for word in value)
    return value


def _parts(secret: str) -> Iterator[str]:
    """Yield a secret and what else gives it away: the key of a header, the password and the long words of an address."""
    from base64 import b64decode
    from urllib.parse import parse_qsl, unquote, urlsplit

    scheme, _, key = secret.partition(" ")
    yield key if scheme.lower() in _SCHEMES and len(key) >= SECRET_PIECE else secret
    if scheme.lower() == "basic":
        with suppress(ValueError):
            user, _, password = b64decode(key).decode().partition(":")
            yield password or user
    if "://" in secret:
        with suppress(ValueError):
            address = urlsplit(secret)
            # A name without a password is a token in many addresses; in that of a database it is a role, often an ordinary word.
            name = "" if address.scheme.startswith("postgres") else address.username
            for word in (address.password or name or "", *(value for _, value in parse_qsl(address.query))):
                yield from (word, unquote(word))
            yield from (step for step in address.path.split("/") if len(step) >= 2 * SECRET_PIECE)


def _is_whole(part: str) -> bool:
    """Say whether a part of a secret is only found as a whole: pieces of it are words, or those of any address."""
    return "://" in part or not _tells(part)


def _written(secret: str) -> Iterator[str]:
    from html import escape
    from json import dumps
    from urllib.parse import quote, quote_plus

    yield secret
    yield from (dumps(secret)[1:-1], dumps(secret, ensure_ascii=False)[1:-1], escape(secret))
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret))


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it may stand in a reading of a text."""
    from base64 import b64encode
    from urllib.parse import quote_plus

    data = secret.encode("utf-8", "surrogatepass")
    yield from (secret, unescaped(strip_blanks(secret)), quote_plus(data), data.decode("latin-1"), data.hex(), data.hex().upper())
    for before in range(3):
        # In a longer base64 the characters at both ends depend on what stands beside the secret: each carries 6 bits.
        first, last = -(-8 * before // 6), 8 * (before + len(data)) // 6
        inner = b64encode(bytes(before) + data).decode()[first:last]
        yield from (inner, inner.replace("+", "-").replace("/", "_"))


def _pieces(form: str, size: int) -> Iterator[str]:
    yield from (form[at : at + size] for at in range(len(form) - size + 1))


def _tells(found: str) -> bool:
    """Say whether a piece of a secret gives it away: a short one of small letters may as well be a word."""
    return len(found) >= SECRET_PIECE and (len(found) >= LEAST_OF_WORDS or not (found.isalpha() and found[1:].islower()))


def _masked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    parts: list[str] = []
    last = 0
    for start, end in sorted(spans):
        if start >= last:
            parts += (text[last:start], MASK)
        last = max(last, end)
    return "".join((*parts, text[last:]))


_PLAIN = frozenset({"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TMPDIR", "TZ", "TESSDATA_PREFIX", "HF_HOME", "HF_HUB_OFFLINE"})
_PLAIN_BEGINNINGS = ("LC_", "LD_", "DYLD_", "PYTHON", "XDG_", "SSL_CERT_", "OMP_", "MKL_", "OPENBLAS_", "CUDA_", "NVIDIA_")
_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL", "AUTH")


def inheritable(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a process that works for this one is given of its environment: variables that are known to hold no secret.

    >>> inheritable({"PATH": "/bin", "LC_ALL": "C", "OPENAI_API_KEY": "k", "LANGSMITH_API_KEY": "k", "PYTHON_TOKEN": "t"})
    {'PATH': '/bin', 'LC_ALL': 'C'}
    """
    known = {name: value for name, value in environ.items() if name in _PLAIN or name.startswith(_PLAIN_BEGINNINGS)}
    return {name: value for name, value in known.items() if not any(word in name.upper() for word in _SECRET_WORDS)}
