"""Runs as texts for papers and programs, a file a format."""
