"""JSON as attnbench writes it."""

import json
import math
from collections.abc import Mapping, Sequence


def json_text(found: Mapping[str, object] | Sequence[object]) -> str:
    """An indented text that ends in a line break; what is no number is null."""
    return json.dumps(_plain(found), ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _plain(value: object) -> object:
    """The value as JSON has it: NaN and infinity, which JSON has not, are null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
