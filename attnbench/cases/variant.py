"""How a layer is run: the choices that leave what it computes, and decide how fast that goes."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

KERNELS = ("explicit", "fused", "flash", "efficient", "cudnn", "math")
DTYPES = ("float32", "tf32", "bfloat16", "float16", "float64")
EAGER = "off"
COMPILE_MODES = (EAGER, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run a layer; the defaults are how published rows were measured.

    `kernel` is how softmax attention is computed. `dtype` is that of weights and inputs, where `tf32` is
    float32 whose products a GPU may round. `compile` is a mode of `torch.compile`, or `off`. With a
    `cuda_graph`, calls are captured once and then replayed.
    """

    kernel: str = "explicit"
    dtype: str = "float32"
    compile: str = EAGER
    cuda_graph: bool = False

    @property
    def compiled(self) -> bool:
        return self.compile != EAGER

    @property
    def is_prepared(self) -> bool:
        """Whether the first call compiles or captures, and later ones do not."""
        return self.compiled or self.cuda_graph

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

    def _preparations(self) -> list[str]:
        how = "compiled" if self.compile == "default" else f"compiled ({self.compile})"
        return [how] * self.compiled + ["CUDA graph"] * self.cuda_graph


PLAIN = Variant()


def variants(
    kernels: Iterable[str], dtypes: Iterable[str], modes: Iterable[str], graphs: Iterable[bool]
) -> list[Variant]:
    """Every combination, those of one kernel together."""
    return [Variant(*choice) for choice in product(kernels, dtypes, modes, graphs)]
