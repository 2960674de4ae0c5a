"""A report as one HTML file, which asks no host for anything: the table, figures that answer, the records."""
