"""A user's own claims: what can be written, and what is said of what cannot."""

from decimal import Decimal
from pathlib import Path

import pytest

from attnbench.cases.variant import Variant
from attnbench.errors import AttnbenchError
from attnbench.paper import published
from attnbench.paper.claims import Claim, Metric, Relation
from attnbench.paper.claims_file import parse, read

SPEED = """
[[claim]]
id = "mine"
sentence = "Mine is fast."
source = "page 1"
mechanism = "mine:depth=2"
metric = "speed"
relation = "faster"
than = "msa"
device = "cpu"
"""
COUNT = SPEED.replace('"speed"', '"flops"').replace('"faster"', '"equal"').replace('device = "cpu"', "")
PUBLISHED = COUNT.replace('than = "msa"', "millions = 12.50")


def the_claim(text: str) -> Claim:
    (claim,) = parse(text, "mine.toml").claims
    return claim


def test_what_is_left_out_is_table_ivs_setting_on_any_machine():
    about = the_claim(SPEED).conditions
    assert (about.size, about.dim, about.heads, about.mode, about.batch) == (
        "14x14",
        768,
        12,
        "inference",
        64,
    )
    assert about.variant == Variant(dtype="float32", kernel="explicit", compile="off", cuda_graph=False)
    assert (about.torch, about.cpu, about.gpu) == (None, None, None)


def test_a_claim_differs_from_the_setting_of_its_file_in_what_it_says():
    about = the_claim('[setting]\nsize = "28x28"\nbatch = 4\n' + SPEED + "batch = 2").conditions
    assert (about.size, about.batch) == ("28x28", 2)


def test_a_claim_runs_layers_as_its_file_says_but_for_what_it_says_itself():
    about = the_claim(
        '[setting]\ndtype = "bfloat16"\nkernel = "fused"\n' + SPEED + 'kernel = "flash"'
    ).conditions
    assert about.variant == Variant(dtype="bfloat16", kernel="flash")


def test_a_label_with_settings_of_a_mechanism_that_nobody_knows_may_be_claimed_about():
    claim = the_claim(SPEED + "times = 2")
    assert (claim.mechanism, claim.than) == ("mine:depth=2", ("msa",))
    assert (claim.metric, claim.relation, claim.times) == (Metric.speed, Relation.faster, 2.0)


def test_others_are_all_rows_of_table_iv_but_the_mechanism_itself():
    text = SPEED.replace('"msa"', '"others"').replace("mine:depth=2", "hilo")
    assert the_claim(text).than == tuple(name for name in published() if name != "hilo")


def test_several_others_may_be_named():
    assert the_claim(SPEED.replace('"msa"', '["sra", "msa", "sra"]')).than == ("sra", "msa")


def test_a_published_count_keeps_its_digits():
    assert str(the_claim(PUBLISHED).millions) == "12.50"
    assert the_claim(PUBLISHED.replace("12.50", "12")).millions == Decimal(12)


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ('than = "msa"\nrelation = "faster"\ntimes = 2.5', 2.5),
        ('than = "msa"\nrelation = "slower"\ntimes = 4', 0.25),
        ('than = "msa"\nrelation = "faster"\nreported = 1.3', 1.3),
        ('than = "msa"\nrelation = "faster"', None),
    ],
)
def test_the_number_of_a_claim_is_the_mechanisms_over_the_others(changes: str, number: float | None):
    text = SPEED.replace('relation = "faster"\nthan = "msa"', changes)
    assert the_claim(text).number == number


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[claim", "mine.toml is not TOML: Expected"),
        (SPEED + "times = 1e999999", "'mine': times is 1E+999999; it must be a number above 1."),
        ("", "mine.toml holds no claims; each begins with a line [[claim]]."),
        ("claim = []", "mine.toml holds no claims"),
        ('[claim]\nid = "a"', "it must be tables that each begin with [[claim]]."),
        ("[[claims]]", "mine.toml: claims is not known; there can be setting, claim."),
        ("setting = 1" + SPEED, "setting is 1; it must be a table that begins with [setting]."),
        ("[setting]\nbatch = 0" + SPEED, "mine.toml, [setting]: batch is 0; it must be a whole number,"),
        ("[setting]\ndim = true" + SPEED, "dim is True; it must be a whole number"),
        ("[setting]\nsize = 14" + SPEED, "size is 14; it must be a map of tokens such as 14x14."),
        ("[setting]\nid = 'a'" + SPEED, "[setting]: id is not known; there can be size, dim,"),
        (SPEED + SPEED, "mine.toml: two claims are called 'mine'; give each an id of its own."),
        (SPEED.replace("id =", "name ="), "mine.toml, claim 1: name is not known; there can be id,"),
        (SPEED.replace('id = "mine"', ""), "mine.toml, claim 1 has no id; every claim needs id,"),
        (SPEED.replace('source = "page 1"', ""), "mine.toml, claim 'mine' has no source; every claim needs"),
        (SPEED.replace('"page 1"', '" "'), "claim 'mine': source is ' '; it must be a text."),
        (SPEED.replace('"speed"', '"pace"'), "metric is 'pace'; it must be speed, params, flops or memory."),
        (SPEED.replace('"faster"', '"less"'), "relation is less; for speed it can be faster, slower, about."),
        (SPEED.replace('"cpu"', '"tpu"'), "device is 'tpu'; it must be cpu or cuda."),
        (SPEED.replace('device = "cpu"', ""), "device is missing; a claim about speed is about cpu or cuda."),
        (COUNT + 'device = "cpu"', "device must be left out; flops are the same on all."),
        (SPEED.replace('than = "msa"', ""), "than is missing; it says what the mechanism is compared with."),
        (PUBLISHED + 'than = "msa"', "than and millions are both there; compare with mechanisms or with a"),
        (PUBLISHED.replace('"equal"', '"less"'), "millions is for params or flops that are equal;"),
        (SPEED.replace('"msa"', "[]"), 'than is []; it must be a label, a list of labels, or "others".'),
        (SPEED.replace('"msa"', '"mine:depth=2"'), "than names mine:depth=2 itself; it must name others."),
        (SPEED + "times = 1", "times is 1; it must be a number above 1."),
        (SPEED + "times = nan", "times is NaN; it must be a number above 1."),
        (SPEED + "times = '2'", "times is '2'; it must be a number above 1."),
        (COUNT + "times = 2", "times must be left out; it has no meaning for the relation equal."),
        (SPEED + "within = 0.1", "within must be left out; it has no meaning for the relation faster."),
        (SPEED.replace("faster", "about"), "within is missing; it says by which share"),
        (SPEED.replace("faster", "about") + "within = 1", "within is 1; it must be a share between 0 and 1."),
        (SPEED + "reported = -1", "reported is -1; it must be a number above 0."),
        (SPEED + "cuda_graph = 1", "cuda_graph is 1; it must be true or false."),
        (SPEED + "kernel = 'fast'", "kernel is 'fast'; it must be explicit, fused, flash,"),
    ],
)  # fmt: skip
def test_a_bad_file_is_told_which_claim_which_field_and_what_it_may_be(text: str, says: str):
    with pytest.raises(AttnbenchError) as mistake:
        parse(text, "mine.toml")
    assert says in str(mistake.value)


@pytest.mark.parametrize(
    "value",
    ["9" * 5000, "1e99999999999999999999", "[" * 100_000],
    ids=["digits", "exponent", "depth"],
)
def test_what_python_cannot_read_is_not_toml(value: str):
    with pytest.raises(AttnbenchError, match=r"mine\.toml is not TOML: "):
        parse(f"a = {value}", "mine.toml")


def test_a_file_that_cannot_be_read_is_said_to_be_one(tmp_path: Path):
    with pytest.raises(AttnbenchError, match=r"none.toml cannot be read: No such file or directory"):
        read(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes("é".encode("latin-1"))
    with pytest.raises(AttnbenchError, match=r"latin.toml is not text in UTF-8"):
        read(tmp_path / "latin.toml")
