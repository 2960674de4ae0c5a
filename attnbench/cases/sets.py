"""Names for several mechanisms, as the command line has them: `@table-iv`, `@linear`, `@all`."""

from attnbench.mechanism import FAMILIES

SET = "@"
ALL, TABLE, MODERN, MODELS = "all", "table-iv", "modern", "models"


def slug(family: str) -> str:
    """A family as a word of the command line."""
    return family.replace(" ", "-")


NAMES = (TABLE, MODERN, ALL, MODELS, *map(slug, FAMILIES))
"""The sets that attnbench itself has; packages of mechanisms may have more."""
