"""What `attnbench profile` says in words and numbers."""

from pathlib import Path

from attnbench.errors import writing
from attnbench.machine.devices import device_of
from attnbench.records.profile import SMALL, Profile
from attnbench.report.csv_text import csv_text
from attnbench.report.digits import millions
from attnbench.report.fields import CASE, THREADS
from attnbench.words import plural

PROFILE = "profile.csv"
OF_PLACES = ("calls", "self_s", "bytes", "macs")
OPERATOR = ("operator", "part", "calls", "self_s", "bytes", "macs")


def title(profile: Profile) -> str:
    """What was called, and how."""
    case, workload = profile.case, profile.case.workload
    on_host = device_of(case.device).on_host
    where = f"{case.device}, {plural(profile.threads, 'thread')}" if on_host else case.device
    return (
        f"{case.title}: {workload.spelled}, {plural(workload.batch, 'image')}, {case.variant.title}, {where}"
    )


def profile_notes(profile: Profile) -> list[str]:
    """What a reader must know beside the tables."""
    low, high = map(_ms, profile.call_middle_s)
    clock = f"on the {device_of(profile.case.device).title}"
    notes = [
        f"Without the profiler a call takes {_ms(profile.call_s)} ms (half of the calls between {low} and "
        f"{high}); profiled calls take {profile.slowdown:.2f} × as long (medians of "
        f"{plural(profile.profiled_calls, 'call')} each).",
        f"Times are {clock} and of one call of the whole batch: means over the middle half of the profiled "
        "calls. Shares are of such a call.",
        "Moved is what an operator must at least read and write: each of its tensors once, from wherever.",
        "Between operators are views, Python, torch's dispatch, and memory that is given back.",
    ]
    notes += _bound(profile)
    missing = 0 if profile.closed_form_macs is None else profile.closed_form_macs - profile.total.macs
    if missing > 0:
        notes.append(
            f"The closed form has {millions(missing)} M multiply-adds more: those of norms, samplers and "
            "element-wise products, or of an operator without a formula here."
        )
    if missing < 0:
        notes.append(f"The closed form has {millions(-missing)} M multiply-adds less.")
    return notes


def _bound(profile: Profile) -> list[str]:
    """What keeps a layer from the speed of its main product; nothing where none of it takes a hundredth."""
    product = profile.main_product
    beyond = [
        f"{part} {100 * share:.0f} %" for part, share in profile.beyond_products.items() if share >= SMALL
    ]
    if not product or not beyond:
        return []
    return [
        f"Beyond all multiply-adds at the rate of {product.operator} ({product.macs_per_s / 1e9:,.1f} "
        f"GMAC/s), a call is bound by {', '.join(beyond)}."
    ]


def write_profile(profile: Profile, folder: Path) -> Path:
    """Write every operator to `profile.csv` and return its path."""
    path = folder / PROFILE
    with writing(path):
        path.write_text(profile_csv(profile), encoding="utf-8", errors="backslashreplace")
    return path


def profile_csv(profile: Profile) -> str:
    """Every operator as CSV, largest first, in seconds, bytes and multiply-adds of one call."""
    setting = setting_line(profile)
    calls = {name: f"{seconds:.9f}" for name, seconds in call_line(profile).items()}
    lines = operator_lines(profile)
    return csv_text({**setting, **line, "self_s": f"{line['self_s']:.9f}", **calls} for line in lines)


def setting_line(profile: Profile) -> dict[str, object]:
    """What was called, and how, under the names that rows of runs have."""
    return {field.name: field.of(profile.case) for field in CASE} | {THREADS.name: profile.threads}


def call_line(profile: Profile) -> dict[str, float]:
    """How long a call takes without the profiler, and with it."""
    return {"call_s": profile.call_s, "profiled_call_s": profile.profiled_call_s}


def operator_lines(profile: Profile) -> list[dict[str, object]]:
    """What every operator takes in one call, the one that takes longest first."""
    lines = sorted(profile.lines, key=lambda line: -line.self_s)
    return [{name: getattr(line, name) for name in OPERATOR} for line in lines]


def place_lines(profile: Profile) -> dict[str, object]:
    """What stages and kinds of modules take in one call of a model; nothing of a layer."""
    return {
        name: [{"name": line.operator, **{key: getattr(line, key) for key in OF_PLACES}} for line in lines]
        for name, lines in (("stages", profile.stages), ("kinds", profile.kinds))
        if lines
    }


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.3g}"
