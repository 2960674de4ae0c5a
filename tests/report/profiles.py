"""A profile whose numbers are known."""

from attnbench.records.profile import Line, Part, Profile
from tests.fakes import changed
from tests.shards import case

PRODUCTS = Line("addmm", Part.projections, calls=2, self_s=0.06, bytes=12_000_000, macs=6_000_000_000)
SOFTMAX = Line("_softmax", Part.core, calls=1, self_s=0.03, bytes=30_000_000, macs=0)
COPY = Line("copy_", Part.movement, calls=3, self_s=0.0005, bytes=1_000_000, macs=0)
REST = Line("outside operators", Part.between, calls=0, self_s=0.0095, bytes=0, macs=0)
PROFILE = Profile(
    changed(case("msa"), batch=16, device="cpu"),
    threads=2,
    lines=(COPY, SOFTMAX, PRODUCTS, REST),
    profiled_calls=12,
    call_s=0.096,
    call_middle_s=(0.095, 0.099),
    profiled_call_s=0.1008,
    closed_form_macs=6_000_000_000,
)
