"""How values go into templates."""

import math

import pytest
from jinja2 import UndefinedError

from attnbench.report.html.rendering import environment, rendered


def filled(template: str, value: object) -> str:
    return environment().from_string(template).render(value=value)


def test_texts_are_escaped_in_elements_and_attributes():
    name = """<b title='a' class="b">&"""
    assert filled('<i title="{{ value }}">{{ value }}</i>', name) == (
        '<i title="&lt;b title=&#39;a&#39; class=&#34;b&#34;&gt;&amp;">'
        "&lt;b title=&#39;a&#39; class=&#34;b&#34;&gt;&amp;</i>"
    )


def test_a_value_that_is_not_there_is_an_error():
    with pytest.raises(UndefinedError, match="'key' is undefined"):
        rendered("key.html", meanings={})


def test_json_is_compact_and_keeps_its_order():
    assert filled("{{ value|tojson }}", {"b": [1, 2.5], "a": "é</"}) == r'{"b":[1,2.5],"a":"é\u003c/"}'


def test_json_has_no_number_that_is_none():
    with pytest.raises(ValueError, match="not JSON compliant"):
        filled("{{ value|tojson }}", math.nan)


def test_what_a_browser_would_obey_is_seen_in_elements_attributes_and_json():
    name = "\x1bM\u202eSA"
    assert (
        filled('<i title="{{ value }}">{{ value }}</i>', name)
        == '<i title="\ufffdM\ufffdSA">\ufffdM\ufffdSA</i>'
    )
    assert (
        filled("{{ value|tojson }}", {"rows": [{"title": name}]}) == '{"rows":[{"title":"\ufffdM\ufffdSA"}]}'
    )


def test_a_script_is_left_as_it_is():
    assert filled("{{ value|safe }}", "'\x7f' < 1") == "'\x7f' < 1"
