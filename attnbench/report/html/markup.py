"""Markup in which every text is escaped, whoever wrote it: names come from plugins and files."""

import json
import re
from html import escape


class Markup(str):
    """HTML as it goes into the page. Any other string is text, and is escaped on its way in."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: str | None) -> Markup:
    """An element around content; `class_` is the attribute class, and one that is None is left out."""
    written = "".join(
        f' {key.strip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{joined(*content)}</{name}>")


def joined(*content: str) -> Markup:
    """Markup and texts one after the other."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in content))


def unbroken(text: str) -> Markup:
    """Text whose words with hyphens, such as options, stay on one line each."""
    words = (tag("span", word, class_="word") if "-" in word else word for word in re.split(r"(\s+)", text))
    return joined(*words)


def embedded(value: object) -> Markup:
    """JSON that can stand inside a script element: nothing in it reads as markup."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)
