"""Lists and ranges as they are written on the command line: `7,14,28`, `2..7`, `0..1/0.1`."""

from decimal import Decimal, InvalidOperation

from attnbench.errors import AttnbenchError

DOTS = ".."
MOST_VALUES = 1000  # a range of more is a slip of the hand


def values(text: str) -> list[str]:
    """The items between commas, with ranges in full, each once, in their order."""
    return list(dict.fromkeys(value for item in text.split(",") if item for value in expand(item)))


def expand(item: str) -> list[str]:
    """The values of `first..last/step`, exact decimals with the last one if a step hits it.

    Without `/step`, steps are 1. Anything that holds no two dots stands for itself.
    """
    if DOTS not in item:
        return [item]
    ends, slash, by = item.partition("/")
    first_text, _, last_text = ends.partition(DOTS)
    first, last = _number(first_text, item), _number(last_text, item)
    step = _number(by, item) if slash else Decimal(1)
    if step <= 0:
        raise AttnbenchError(f"The range {item!r} has steps of {by}; they must be above 0, as in 0..1/0.1.")
    if last < first:
        raise AttnbenchError(
            f"The range {item!r} ends before it starts; ranges go up: "
            f"write {last_text}..{first_text}{slash}{by}."
        )
    if (last - first) / step >= MOST_VALUES:
        raise AttnbenchError(
            f"The range {item!r} has more than {MOST_VALUES} values; take larger steps, or fewer of them."
        )
    number = int((last - first) // step) + 1
    return [_plain(first + index * step) for index in range(number)]


def _number(text: str, item: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise AttnbenchError(
            f"The range {item!r} has {text!r} where a number must stand; write 2..7, or 0..1/0.1 with steps."
        )
    return number


def _plain(number: Decimal) -> str:
    """The number without an exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
