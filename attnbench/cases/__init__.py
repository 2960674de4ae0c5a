"""What is measured, and what is compared with what: mechanisms, settings, sizes, ways to run them."""
