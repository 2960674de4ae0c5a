"""What the records of a block tell of each other: how far each is from session to session."""

import numpy as np
import pytest

from attnbench.analysis.block import blocks, both, compared
from attnbench.cases.case import Role
from attnbench.statistics import Scatter, session_scatter
from tests.fakes import in_sessions

MSA, HILO = in_sessions("msa", 0.0, 0.1), in_sessions("hilo", 0.0, 0.3)
TWIN = in_sessions("msa", 0.0, 0.14, role=Role.twin)


def test_the_scatter_of_a_block_is_that_of_all_but_its_reference_and_its_ceilings():
    reference, members = session_scatter(np.array([[0.0, -0.2], [0.0, -0.04]]))
    limit = in_sessions("ceiling/copy", 0.0, 0.5, role=Role.ceiling)
    found = blocks([MSA, HILO, TWIN, limit])["block"]
    told = [found.scatter_of(each) for each in (MSA, HILO, TWIN)]
    assert [each and (each.variance, each.freedom) for each in told] == [
        pytest.approx((each.variance, each.freedom)) for each in (reference, *members)
    ]
    assert found.scatter_of(limit) is None


def test_a_member_of_other_sessions_tells_no_scatter():
    longer, later = in_sessions("msa", 0.0, 0.1, 0.2), in_sessions("sra", 0.0, 0.9, first=1)
    found = blocks([longer, HILO, later, TWIN])["block"]
    assert found.scatter_of(later) is None
    assert found.scatter_of(HILO) == blocks([longer, HILO, TWIN])["block"].scatter_of(HILO)


def test_a_comparison_and_its_p_value_have_the_scatter_that_the_block_tells():
    found = blocks([MSA, HILO, TWIN])["block"]
    expected = compared(HILO, MSA, both(found.scatter_of(HILO), found.scatter_of(MSA)))
    assert expected is not None
    assert found.compared(HILO, MSA) == expected != compared(HILO, MSA)
    assert found.p_value(HILO, MSA) == expected.p_value


def test_the_scatter_of_a_difference_is_known_where_both_are():
    assert both(Scatter(0.1, 2), None) is both(None, Scatter(0.1, 2)) is None
    assert both(Scatter(0.25, 2), Scatter(0.5, 3)) == Scatter(0.75, 2)
