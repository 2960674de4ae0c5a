"""Values and files that measuring leaves and analysis reads; no torch."""
