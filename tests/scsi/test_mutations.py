# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tests of this folder notice every field that stands in another place.

``./dev mutate`` prints what they do not notice.  Calling a test is cheap, so this is the whole list
and no sample of it.
"""

from __future__ import annotations

from support import mutate


def test_every_move_of_a_field_is_noticed() -> None:
    count, left = mutate.survivors()
    assert [str(mutant) for mutant in left] == []
    assert count > 1300


def test_a_field_that_no_test_looks_at_would_be_told() -> None:
    # The check of the check: without tests nothing is noticed.
    mutant = mutate.mutants()[0]
    assert not mutate.noticed(mutant, [])
    assert mutate.noticed(mutant, mutate.tests())
    assert mutant.table[mutant.name] != mutant.moved
