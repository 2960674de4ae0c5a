"""What `--on` says is what sbatch is told."""

import pytest

from attnbench.cluster.site import Site, read_site
from attnbench.errors import AttnbenchError


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("slurm", {}),
        ("slurm:cpus_per_task=4", {"cpus-per-task": "4"}),
        ("slurm:nodelist=n1,n2,time=20", {"nodelist": "n1,n2", "time": "20"}),
        ("slurm: qos = low, time = 20", {"qos": "low", "time": "20"}),
        ("slurm:licenses=a:1,b:c=2,time=20", {"licenses": "a:1,b:c=2", "time": "20"}),
    ],
)
def test_options_have_sbatchs_names_and_values_may_have_commas(said: str, options: dict[str, str]):
    assert read_site(said).options == options


@pytest.mark.parametrize("name", ["gres", "gpus", "gpus-per-node", "gpus-per-task"])
def test_who_asks_for_a_gpu_measures_on_it(name: str):
    assert (Site({name: "1"}).device, Site({"time": "20"}).device) == ("cuda", "cpu")


def test_a_file_says_what_a_line_says(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text('time = 20\nshared = true\nsetup = ["module load a"]\npoll = 5\ncounts = "short"\n')
    site = read_site(f"{path}")
    assert (site.options, site.shared, site.setup) == ({"time": "20"}, True, ("module load a",))
    assert (site.poll_s, site.counts) == (5.0, "short")


def test_a_time_that_is_no_number_is_refused(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text("poll = nan")
    with pytest.raises(AttnbenchError, match="at least 1"):
        read_site(f"{path}")


def test_a_line_says_what_is_no_option_of_sbatchs():
    site = read_site("slurm:python=/opt/python,setup=module load a,counts=short,poll=1,shared=yes")
    assert site == Site({}, "/opt/python", "short", ("module load a",), poll_s=1.0, shared=True)


def test_one_line_of_setup_needs_no_list(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text('setup = "module load a"\nshared = false\n')
    assert (read_site(f"{path}").setup, read_site(f"{path}").shared) == (("module load a",), False)
