"""From a sweep to records: what is to be done, and the processes that do it."""
