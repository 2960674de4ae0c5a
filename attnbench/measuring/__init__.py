"""Everything that touches a live layer."""
