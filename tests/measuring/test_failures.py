"""What a layer raised is told in a line, with the place in its author's code."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

from attnbench.attention import attend
from attnbench.measuring import failures
from attnbench.measuring.failures import NOBODYS, place_of, told


class Twice(nn.Module):
    """Calls this file from torch, and torch from this file."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.Linear(2, 2)(x)


def raised(call: Callable[[], object]) -> Exception:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_the_place_is_the_last_line_that_neither_torch_nor_attnbench_nor_python_has_written():
    line = Twice.forward.__code__.co_firstlineno + 1
    assert place_of(raised(lambda: Twice()(torch.ones(3)))) == f" (test_failures.py, line {line})"
    for call in (lambda: attend(None, None, None), lambda: json.loads("{")):  # type: ignore[arg-type]
        here = call.__code__.co_firstlineno
        assert place_of(raised(call)) == f" (test_failures.py, line {here})"


def test_a_package_that_the_layer_uses_is_not_its_own_file():
    error = raised(lambda: FlopCountAnalysis(nn.Linear(2, 2), torch.ones(3)).total())
    assert place_of(error).startswith(" (test_failures.py")


def test_what_is_installed_is_named_where_there_is_nothing_else():
    error = raised(lambda: FlopCountAnalysis(nn.Linear(2, 2), torch.ones(3)).total())
    error.__traceback__ = (
        error.__traceback__ and error.__traceback__.tb_next and error.__traceback__.tb_next.tb_next
    )
    assert place_of(error).startswith(" (")
    assert "test_failures" not in place_of(error)


def code_of(file: Path | str) -> Callable[[], object]:
    """A function that raises in the second line of this file, whether that is there or not."""
    names: dict[str, Callable[[], object]] = {}
    exec(compile("def fails():\n    raise ValueError", file, "exec"), names)
    return names["fails"]


def test_what_is_installed_inside_of_pythons_own_folder_is_not_pythons(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(failures, "NOBODYS", (*NOBODYS[:-1], tmp_path))
    places = []
    for folder in (tmp_path, tmp_path / "site-packages"):
        folder.mkdir(exist_ok=True)
        (file := folder / "theirs.py").touch()
        error = raised(code_of(file))
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        places.append(place_of(error))
    assert places == ["", " (theirs.py, line 2)"]


def test_code_of_no_file_has_no_place():
    call = lambda: code_of("<string>")()  # noqa: E731
    assert place_of(raised(call)) == f" (test_failures.py, line {call.__code__.co_firstlineno})"


def test_python_is_known_by_another_path_to_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (python := tmp_path / "python").mkdir()
    (python / "json.py").touch()
    (tmp_path / "link").symlink_to(python)
    monkeypatch.setattr(failures, "NOBODYS", (*NOBODYS[:-1], python))
    assert place_of(raised(code_of(tmp_path / "link" / "json.py"))).startswith(" (test_failures.py, line ")


def test_what_no_author_has_written_has_no_place():
    assert place_of(RuntimeError("never raised")) == ""


def test_only_the_first_line_of_an_error_is_told():
    assert told(ValueError("one\ntwo")) == "ValueError: one"
    assert told(ValueError("\n  one\ntwo")) == "ValueError: one"
