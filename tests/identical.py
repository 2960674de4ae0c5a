"""A plugin with MSA under a second name, for blocks in which nothing is faster than anything.

    attnbench run msa msa-again --plugin tests/identical.py --out results/identical-cpu …

Every verdict on `msa-again` other than same or unclear is false.
"""

from dataclasses import replace

from mechanisms.msa import msa

again = replace(msa, name="msa-again", title="MSA again")
