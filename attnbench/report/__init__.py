"""From records to what a reader sees. Needs no torch."""
