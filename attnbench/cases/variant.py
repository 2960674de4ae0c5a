"""How a layer is run: the choices that leave what it computes, and decide how fast that goes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import product
from typing import Any, TypeVar

KERNELS = ("explicit", "fused", "flash", "efficient", "cudnn", "math")
BYTES = {"float32": 4, "tf32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
FORMATS = tuple(BYTES)
AUTOCAST = "autocast-"  # before the format that torch.autocast makes products in
AUTOCAST_FORMATS = ("bfloat16", "float16")
DTYPES = (*FORMATS, *(AUTOCAST + name for name in AUTOCAST_FORMATS))
EAGER = "off"
COMPILE_MODES = (EAGER, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
CAPTURES = ("reduce-overhead", "max-autotune")  # the modes that make CUDA graphs of their own
TUNES = {"max-autotune": 10, "max-autotune-no-cudagraphs": 10}
"""How many times as long as others the modes may take that time kernels to choose among them."""

Value = TypeVar("Value", str, bool)


def _one_of(values: tuple[Value, ...], meaning: str) -> Value:
    """A field that has one of these values, by default the first; the meaning is a sentence for readers."""
    return field(default=values[0], metadata={"values": values, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run a layer; the defaults are how published rows were measured.

    A `dtype` of `tf32` is float32 whose products a GPU may round; one of `autocast-bfloat16` is float32 whose
    products torch.autocast makes in bfloat16.
    """

    kernel: str = _one_of(KERNELS, "How softmax attention is computed.")
    dtype: str = _one_of(DTYPES, "Number format of weights and inputs, or how products of float32 are made.")
    compile: str = _one_of(COMPILE_MODES, "Mode of torch.compile, or off.")
    cuda_graph: bool = _one_of((False, True), "Whether calls are captured once and then replayed.")

    @property
    def autocast(self) -> str | None:
        """The format that torch.autocast makes products in; None where it is off."""
        return self.dtype.removeprefix(AUTOCAST) if self.dtype.startswith(AUTOCAST) else None

    @property
    def stored(self) -> str:
        """The number format of weights and inputs."""
        return PLAIN.dtype if self.autocast or self.dtype == "tf32" else self.dtype

    @property
    def computed(self) -> str:
        """The number format of products, to which results are as precise."""
        return self.autocast or self.dtype

    @property
    def bytes_each(self) -> int:
        """Of a number of weights and inputs."""
        return BYTES[self.stored]

    @property
    def bytes_each_out(self) -> int:
        """Of a number of the output, at least: under torch.autocast it may stay in the format of products."""
        return BYTES[self.computed]

    @property
    def compiled(self) -> bool:
        return self.compile != EAGER

    @property
    def is_prepared(self) -> bool:
        """Whether the first call compiles or captures, and later ones do not."""
        return self.compiled or self.cuda_graph

    @property
    def patience(self) -> int:
        """How many times the time-out of others a step that compiles may take."""
        return TUNES.get(self.compile, 1)

    @property
    def nested(self) -> str | None:
        """Why it would capture a CUDA graph in another; None where it would not."""
        if not (self.cuda_graph and self.compile in CAPTURES):
            return None
        return (
            f"--compile {self.compile} makes CUDA graphs of its own, which --cuda-graph on cannot capture in "
            "another one; take one of the two, or --compile default or max-autotune-no-cudagraphs with "
            "--cuda-graph on"
        )

    @property
    def title(self) -> str:
        """All of it in words: `bfloat16, fused kernel, compiled (max-autotune), CUDA graph`."""
        return ", ".join([self.dtype, f"{self.kernel} kernel", *self._preparations()])

    @property
    def name(self) -> str:
        """What differs from the defaults: `bfloat16, fused, compiled`; nothing for those."""
        dtype = [self.dtype] if self.dtype != PLAIN.dtype else []
        kernel = [self.kernel] if self.kernel != PLAIN.kernel else []
        return ", ".join([*dtype, *kernel, *self._preparations()])

    @property
    def brief(self) -> str:
        """All of it in few words, for headings: `bfloat16 fused compiled`."""
        return " ".join([self.dtype, self.kernel, *self._preparations()])

    @property
    def rank(self) -> tuple[int, ...]:
        """Its place among others: by each field in turn, the number format first, in the order of values."""
        return tuple(values.index(getattr(self, name)) for name, values in AXES.items())

    def follows(self, other: "Variant") -> bool:
        """Whether it is another one with one choice more: with something else in place of one default."""
        changed = [name for name in AXES if getattr(self, name) != getattr(other, name)]
        return len(changed) == 1 and getattr(other, changed[0]) == getattr(PLAIN, changed[0])

    @property
    def slugs(self) -> dict[str, str]:
        """A word for the name of a file by field; nothing where the default goes without saying."""
        return {
            "dtype": self.dtype,
            "kernel": self.kernel,
            "compile": f"compiled-{self.compile}" if self.compiled else "eager",
            "cuda_graph": "graph" * self.cuda_graph,
        }

    def _preparations(self) -> list[str]:
        how = "compiled" if self.compile == "default" else f"compiled ({self.compile})"
        return [how] * self.compiled + ["CUDA graph"] * self.cuda_graph


PLAIN = Variant()
_TOLD = sorted(fields(Variant), key=lambda axis: axis.name != "dtype")  # the number format first
AXES: Mapping[str, tuple[Any, ...]] = {axis.name: axis.metadata["values"] for axis in _TOLD}
"""What each field of a variant can be."""
MEANINGS: Mapping[str, str] = {axis.name: axis.metadata["meaning"] for axis in _TOLD}
"""What each field of a variant says."""


def variants(*values: Iterable[str | bool]) -> list[Variant]:
    """Every combination of the values of each field, in their order: those of one kernel together."""
    choices: Iterable[tuple[Any, ...]] = product(*values)
    return [Variant(*choice) for choice in choices]
