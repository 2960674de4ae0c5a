"""Figures: what they share is in `style`, what a run draws in `run`."""
