"""What commands print for a reader at a terminal: tables, and lines beside them."""
