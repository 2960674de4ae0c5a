"""What layers are built for, from the command line."""

from typing import Any

import pytest

from attnbench import AttnbenchError, Geometry
from attnbench.cli.geometry_options import image_of, read_geometries

NOTHING: dict[str, Any] = dict.fromkeys(("sizes", "dims", "heads", "stages", "images"))


def read(patch: int = 16, **asked: Any) -> list[Geometry]:
    return read_geometries(**{**NOTHING, **asked}, patch=patch)


def test_unless_told_otherwise_it_is_table_ivs():
    assert read() == [Geometry(768, 12, 14, 14)]


def test_all_combinations_are_asked_for():
    found = read(sizes=["7,14x28"], dims=["96,192"], heads=["3"])
    assert found == [
        Geometry(96, 3, 7, 7), Geometry(192, 3, 7, 7), Geometry(96, 3, 14, 28), Geometry(192, 3, 14, 28),
    ]  # fmt: skip


def test_stages_have_their_own_map_channels_and_heads():
    assert read(stages=["56:96:3,28x14:192:6"]) == [Geometry(96, 3, 56, 56), Geometry(192, 6, 28, 14)]


def test_an_image_has_as_many_tokens_as_patches():
    assert read(images=["384", "224x448"]) == [Geometry(768, 12, 24, 24), Geometry(768, 12, 14, 28)]
    assert read(images=["224"], patch=4) == [Geometry(768, 12, 56, 56)]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"stages": ["56:96:3"], "dims": ["96"]}, "leave out --res, --image, --dim and --heads"),
        ({"stages": ["56:96"]}, "--stage is '56:96'; it must be RES:DIM:HEADS"),
        ({"stages": ["56:96:none"]}, "--stage is 'none'; it must be a whole number"),
        ({"sizes": ["14"], "images": ["224"]}, "--res and --image both say how large a map is"),
        ({"images": ["230"]}, "--image is 230, which patches of 16 pixels do not divide"),
        ({"dims": ["0"]}, "--dim is '0'; it must be a whole number, at least 1"),
        ({"heads": ["9" * 5000]}, "--heads is '9{40}…'; it must be a whole number"),
    ],
)
def test_what_has_no_meaning_is_an_error(asked: dict[str, Any], says: str):
    with pytest.raises(AttnbenchError, match=says):
        read(**asked)


def test_a_map_that_looks_like_an_image_is_said_to_count_tokens():
    assert image_of(read(sizes=["14,191"])) is None
    said = image_of(read(sizes=["224x192"]))
    assert said
    assert (
        "224x192 is an image of 3584×3072 pixels at a patch of 16. --image 224x192 would be the image" in said
    )
