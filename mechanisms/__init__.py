"""The built-in mechanisms, one file each. Files with a leading underscore hold moves that several share."""

SETS = {
    "modern": (
        *("rope", "gated", "swin-v2", "neighborhood", "grid", "bi-level-routing", "agent", "masa"),
        *("aggregated", "cascaded-group", "focused-linear", "relu-linear", "mila", "polarity-linear"),
        *("rala", "ss2d", "linear-sra", "single-head", "differential", "mala", "mlstm"),
        *("focal-modulation", "global-filter"),
    ),
}
"""Names for several mechanisms: those that came after Table IV."""
