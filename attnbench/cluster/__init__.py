"""Runs on a Slurm cluster: a job a block, files that say how far each is, and the rows collected."""
