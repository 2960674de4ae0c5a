"""The published numbers."""

from attnbench.paper import in_table_order, published


def test_table_iv_has_fourteen_rows_from_msa_to_hilo():
    names = list(published())
    assert len(names) == 14
    assert (names[0], names[-1]) == ("msa", "hilo")
    hilo = published()["hilo"]
    assert (hilo.params_m, hilo.flops_m, hilo.imgs_per_s("cpu"), hilo.imgs_per_s("cuda")) == (
        2.2,
        298.3,
        1029,
        5104,
    )


def test_names_that_the_paper_does_not_have_come_last():
    assert in_table_order(["mine", "hilo", "yours", "msa"]) == ["msa", "hilo", "mine", "yours"]
