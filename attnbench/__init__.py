"""What the author of a mechanism imports, and `measure`, `load` and `plot` for whoever works from Python.

`attnbench.attention.attend` is the other half of the former.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.backbone import Backbone, Slot
from attnbench.errors import AttnbenchError, InvalidSetting, UnsupportedGeometry
from attnbench.mechanism import CLASSES, COLOURS, Branch, Geometry, Mechanism, Paper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from attnbench.report.frame import Source

__version__: str  # as the package was installed
__all__ = [
    "CLASSES",
    "COLOURS",
    "AttnbenchError",
    "Backbone",
    "Branch",
    "Geometry",
    "InvalidSetting",
    "Mechanism",
    "Paper",
    "Slot",
    "UnsupportedGeometry",
    "__version__",
    "load",
    "measure",
    "plot",
]


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # takes as long as all the rest

    return version(__name__)


def measure(
    layers: "Mapping[str, nn.Module | str | Path] | nn.Module | str | Path",
    x: "Tensor | None" = None,
    *,
    shape: "Sequence[int] | None" = None,
    heads: int | None = None,
    layout: str | None = None,
    mode: str = "inference",
    kernel: str = "explicit",
    baseline: str | None = None,
    seconds: float = 5.0,
    threads: int | None = None,
    seed: int = 0,
    full: bool = False,
) -> "pd.DataFrame":
    """Layers measured beside each other, now: N lines, one a layer, under the names that `load` has.

    The columns are those that say something: counts, memory, images a second, and speeds with verdicts where
    there are several layers; a `full` table has all that `load` has. `plot` draws either.

    `layers` are modules, or words as `attnbench run` takes them (`msa`, `hilo:alpha=0.5`,
    `package.module:Class`, a file), under names of yours; one of either may come alone. A name is the `label`
    of a module, and the title, in figures too, of a word, whose label it is itself. `x` is a batch of
    tokens `[B, N, C]`, of maps `[B, C, H, W]` or, with `layout="images"`, of images `[B, 3, H, W]` for whole
    models; its shape, number format and device are those of the calls, which get random numbers, and `shape`
    stands for one in float32 on the CPU. N tokens are a square map, or else a single row; `[B, C, H, W]` with
    `layout="tokens"` are those of another map. `layout` says what modules take where that is not what `x` is
    (see `Mechanism`). `heads` are for words alone: C / 64, or 1 where that is no number, unless told.

    Speeds are relative to `baseline`, or to the first, in paired rounds of `seconds` in all. Words alone are
    timed in two processes of their own. Modules cannot be sent to one: copies of them, and all that is beside
    them, are timed in this process, whose intervals say nothing of the next; `sessions` is 1 then. What its
    code has set does not count there, such as `torch.no_grad`, `torch.autocast` or a default device, and is
    left as it was.

    Raises `AttnbenchError` for what has no meaning. A layer that fails is a line with its `reason`.
    """
    from attnbench.api import measured_rows
    from attnbench.report.frame import frame, telling

    table = frame(
        measured_rows(
            layers,
            x,
            shape=shape,
            heads=heads,
            layout=layout,
            mode=mode,
            kernel=kernel,
            baseline=baseline,
            seconds=seconds,
            threads=threads,
            seed=seed,
        )
    )
    return table if full else telling(table)


def load(folder: str | Path, *, samples: bool = False) -> "pd.DataFrame":
    """The run in a folder as a table of N lines, one a case, under the names of its `table.csv`.

    Base units: seconds, bytes, joules, watts, multiply-adds and parameters as plain numbers. `x_low` and
    `x_high` are the ends of the 95 % interval of `x`, `x_published` is Table IV's number. Counts are exact
    integers; NA is what was not measured. Speeds are relative to the run's own baseline.

    With `samples` it has a line for every sample of every case instead, those of the baseline's `twin` and of
    the ceilings too (`role`): its `session`, `round` and turn (`position`) in that, the seconds of a call as
    the device has them (`time_s`) and as the host (`wall_s`), and whether it counts for nothing (`settling`),
    stood still (`paused`) or waited for the host (`host_paced`). Only what shares a `block`, a session and a
    round was timed side by side.

    Raises `AttnbenchError` where there is no run, or one that cannot be read or holds no rows; a last line
    that was cut off is left out with a warning.
    """
    from attnbench.analysis.analysis import rows_of
    from attnbench.records.record_file import read
    from attnbench.report.frame import frame, sample_frame

    run = read(Path(folder))
    for text in run.warnings:
        warnings.warn(text, stacklevel=2)
    return sample_frame(run.records) if samples else frame(rows_of(run))


def plot(
    run: "Source | Sequence[Source]",
    figure: str = "throughput",
    *,
    only: "str | Sequence[str] | None" = None,
    rename: "Mapping[str, str] | None" = None,
    highlight: "str | Sequence[str] | None" = None,
    width: float | str | None = None,
    bare: bool = False,
) -> "Figure":
    """One figure of a run's folder, or of the frame that `load` or `measure` gave, as `compare` draws it.

    `figure` is a kind as `--figure` takes it (`throughput`, `ratios`, `flops-time`, `front`, `scaling`,
    `scaling-ratios`, `settings`, `kernels`), or, where a run has several of a kind, the name of the file that
    it would be in: `throughput-14x14`. Several runs in a list stand beside each other, a panel each, in the
    settings that all of them have; each ratio is within its own run.

    `only` these labels are drawn, in this order where the figure has none of its own; `rename` gives titles
    by label, and all but those in `highlight` are grey. `width` is inches, or a word of `--width` such as
    `cvpr`; a `bare` figure has no note on setting and machine.

    Lines of a frame may be chosen, sorted and joined before, the last of what `measure` gave where that is
    `full`; its columns must stay. What it does not hold,
    rounds to pair and the machine but for its processor, is not drawn: `kernels` wants the folder.

    The figure belongs to no window and to no state of pyplot: notebooks show it, `savefig` saves it.

    Raises `AttnbenchError` for a figure, a label or a width that is not there, and for a frame that lacks
    columns, named in the message; a last line of a folder that was cut off is left out with a warning.
    """
    from attnbench.api import drawn

    return drawn(run, figure, only=only, rename=rename, highlight=highlight, width=width, bare=bare)
