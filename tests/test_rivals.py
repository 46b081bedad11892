"""Networks and exact denoisers of one ablation are ranked, averaged and tested apart."""

import pytest

from designspace.report.evidence.effects import effects
from designspace.report.study import rivals
from designspace.report.tables.values import tables


@pytest.fixture
def study(bench):
    """Heun is better with the network, Euler with the exact denoiser, which scores much better."""
    made = bench(axes=("denoiser", "solver", "nfe"))
    for denoiser, values in (("exact", (3.0, 2.0)), ("network", (20.0, 30.0))):
        for solver, value in zip(("heun", "euler"), values, strict=True):
            network = "digits" if denoiser == "network" else None
            made.point({"denoiser": denoiser, "solver": solver, "nfe": 7}, value, se=0.1, network=network)
    return made.study()


def test_groups_are_networks_first(study):
    groups = rivals(study.entries, "frechet")
    assert [{entry.axes["denoiser"] for entry in group} for group in groups] == [{"network"}, {"exact"}]


def test_each_has_its_table_with_its_own_best_value_and_the_reason(study):
    network, exact = tables(study, "frechet")
    for table, best in ((network, "denoiser=network, solver=heun"), (exact, "denoiser=exact, solver=euler")):
        assert [row[0].text for row in table.rows if row[1].best] == [best]
        assert "networks are not ranked with the exact denoiser" in table.caption


def test_effects_are_not_averaged_over_both(study):
    found = [{one.factor.name: one for one in group}["solver"] for group in effects(study, "frechet")]
    assert [(one.favoured, one.lines) for one in found] == [(("heun",), 1), (("euler",), 1)]
