"""Text made of the templates beside this file, all values escaped: names come from plugins and files."""

import re

from jinja2 import Environment, PackageLoader, StrictUndefined


def rendered(template: str, **values: object) -> str:
    """The template of this name, filled with these values; one that it asks for and has not is an error."""
    return environment().get_template(template).render(values)


def environment() -> Environment:
    """Where templates come from, and how values go into them."""
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = _words
    environment.policies["json.dumps_kwargs"] = {
        "ensure_ascii": False,
        "allow_nan": False,
        "separators": (",", ":"),
    }
    return environment


def _words(text: str) -> list[str]:
    """The words of a text, and between them the white space that divides them."""
    return re.split(r"(\s+)", text)
