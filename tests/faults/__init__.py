"""Faults on purpose: runs that are killed, starved and robbed, and compared with one that was left alone."""
