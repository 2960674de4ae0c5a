"""What `attnbench.measure` is given: each mistake is told with what is wrong, and what to do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import attnbench
from attnbench import AttnbenchError, Mechanism

X = torch.zeros(2, 4, 8)
LAYER = nn.Identity()
linear = Mechanism("linear", "Linear", lambda geometry: nn.Linear(geometry.dim, geometry.dim))
with FakeTensorMode():
    ELSEWHERE = torch.empty(2, 4, 8, device="cuda:1")

CALLED = nn.Sequential(nn.Linear(8, 8))
CALLED.kept = CALLED(X)
MISTAKES: list[tuple[Any, dict[str, Any], str]] = [
    (torch.relu, {}, "layer is a builtin_function_or_method, which is no layer; give a torch.nn.Module"),
    (None, {}, "layer is a NoneType, which is no layer; give a torch.nn.Module, or a word such as 'msa'"),
    ({"mine": nn.Linear}, {}, "mine is the class Linear, which is no layer; give a module of it, Linear("),
    ({"mine": linear}, {}, "mine is a Mechanism, which is no layer; give what it builds"),
    ([LAYER, "msa"], {}, "layer is a list, which is no layer; give several layers as a dict"),
    ({1: LAYER}, {}, "A layer is named 1; name it with a text"),
    ({"a": "msa", "b": "msa"}, {}, "a and b are both msa; leave one of them out"),
    ({"a": "litv2-s"}, {}, "a is a model, which takes images; say layout='images'"),
    (
        {"a": LAYER, "b": "msa"},
        {"x": None, "shape": (1, 3, 8, 8), "layout": "images"},
        "b is a layer, which takes no images; leave layout='images' out",
    ),
    ({"a": CALLED}, {}, "a is measured as a copy, and torch makes none: Only Tensors created explicitly by"),
    ({"a": nn.Linear(8, 8, device="meta")}, {}, "a is measured as a copy, and torch makes none: Cannot copy"),
    (LAYER, {"x": (2, 4, 8)}, "x is a tuple; give a tensor such as torch.randn(8, 196, 768), or its sizes"),
    (LAYER, {"x": np.zeros((2, 4, 8))}, "x is a ndarray; give a tensor"),
    (LAYER, {"shape": (2, 4, 8)}, "x and shape both say what calls are given; leave one of them out"),
    (LAYER, {"x": torch.zeros(4, 8)}, "The input's shape is [4, 8]; give tokens [B, N, C]"),
    (LAYER, {"x": X.long()}, "x is in int64, in which no layer is measured; give one in float32, bfloat16"),
    (LAYER, {"x": X.to("meta")}, "The device 'meta' is not known; use cpu or cuda"),
    (LAYER, {"x": ELSEWHERE}, "x is on cuda:1, and calls are made on the first cuda device"),
    (LAYER, {"x": None, "shape": 196}, "The input's shape is 196; give tokens [B, N, C]"),
    (LAYER, {"x": None, "shape": "2,4,8"}, "The input's shape is '2,4,8'; give tokens"),
    (LAYER, {"x": None, "shape": (2.0, 4, 8)}, "The input's shape is [2.0, 4, 8]; give tokens"),
    (LAYER, {"heads": 0}, "heads is 0; it must be a whole number from 1"),
    (LAYER, {"heads": "12"}, "heads is '12'; it must be a whole number from 1"),
    (LAYER, {"threads": 0}, "threads is 0; it must be a whole number from 1 to 4096"),
    (LAYER, {"threads": 1.5}, "threads is 1.5; it must be a whole number"),
    (LAYER, {"seed": "x"}, "seed is 'x'; it must be a whole number from 0"),
    (LAYER, {"seconds": 0}, "seconds is 0; it must be a number of seconds above 0"),
    (LAYER, {"seconds": float("nan")}, "seconds is nan; it must be a number of seconds above 0"),
    (LAYER, {"seconds": float("inf")}, "seconds is inf; it must be a number of seconds above 0"),
    (LAYER, {"seconds": "5"}, "seconds is '5'; it must be a number of seconds above 0"),
    (LAYER, {"kernel": "fuse"}, "kernel is 'fuse'; it must be one of 'explicit', 'fused'"),
    (
        LAYER,
        {"mode": "train"},
        "mode is 'train'; it must be one of 'inference', 'training'. Did you mean 'tr",
    ),
    (LAYER, {"layout": ["NCHW"]}, "layout is ['NCHW']; it must be one of 'tokens'"),
    ({"a": LAYER, "b": LAYER}, {"baseline": 1}, "baseline is 1; it must be one of 'a', 'b'"),
]


@pytest.mark.parametrize(("layers", "how", "says"), MISTAKES, ids=[says[:40] for _, _, says in MISTAKES])
def test_a_mistake_is_told_with_what_to_do(layers: Any, how: dict[str, Any], says: str):
    with pytest.raises(AttnbenchError) as caught:
        attnbench.measure(layers, **{"x": X, **how})
    assert str(caught.value).startswith(says)


def test_a_file_with_several_layers_is_refused_and_one_with_one_is_a_layer(tmp_path: Path):
    for number in (1, 2):
        path = tmp_path / f"of_{number}.py"
        values = (f"l{i} = Mechanism('l{i}', 'L', lambda g: nn.Identity())\n" for i in range(number))
        path.write_text("from torch import nn\nfrom attnbench import Mechanism\n" + "".join(values))
    how: dict[str, Any] = {"x": X, "seconds": 0.2, "threads": 1}
    table = attnbench.measure({"mine": LAYER, "file": tmp_path / "of_1.py"}, full=True, **how)
    assert dict(zip(table["label"], table["title"], strict=True)) == {"mine": "mine", "l0": "file"}
    with pytest.raises(AttnbenchError, match=r"of_2\.py holds 2 mechanisms, l0, l1, where one is needed"):
        attnbench.measure({"mine": LAYER, "file": str(tmp_path / "of_2.py")}, **how)


def test_a_word_keeps_its_title_unless_it_is_given_a_name():
    how: dict[str, Any] = {"shape": (2, 4, 8), "seconds": 0.2, "threads": 1, "full": True}
    table = attnbench.measure({"mine": LAYER, "msa": "msa", "theirs": "xca"}, **how)
    assert list(table["title"]) == ["mine", "MSA", "theirs"]


def test_numbers_of_numpy_are_numbers():
    how: dict[str, Any] = {"seconds": np.float64(0.2), "threads": np.int64(1), "seed": np.int32(3)}
    table = attnbench.measure(LAYER, shape=np.array([2, 4, 8]), **how)  # type: ignore[arg-type]
    assert list(table["outcome"]) == ["measured"]
