"""Text made of the templates beside this file, all values escaped: names come from plugins and files."""

import json
import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from attnbench.words import visible


def rendered(template: str, **values: object) -> str:
    """The template of this name, filled with these values; one that it asks for and has not is an error."""
    return environment().get_template(template).render(values)


def environment() -> Environment:
    """Where templates come from, and how values go into them."""
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = _words
    environment.policies["json.dumps_function"] = _json
    environment.policies["json.dumps_kwargs"] = {
        "ensure_ascii": False,
        "allow_nan": False,
        "separators": (",", ":"),
    }
    return environment


def _words(text: str) -> list[str]:
    """The words of a text, and between them the white space that divides them."""
    return re.split(r"(\s+)", text)


def _json(value: object, **how: Any) -> str:
    return json.dumps(_visible(value), **how)


def _visible(value: object) -> object:
    """A value whose texts a reader sees; what is made of templates, which is no plain text, as it is."""
    if isinstance(value, dict):
        return {name: _visible(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_visible(each) for each in value]
    return visible(value) if type(value) is str else value
