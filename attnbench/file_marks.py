"""How values lie in files: marks on the fields of their classes, which `records.codec` reads."""

FLAT = {"flat": True}  # the fields of this value stand beside those of its owner
SPARSE = {"sparse": True}  # written only where it is not its default
SHARED = {"shared": True}  # what many rows say alike is one value in memory; nobody may change it
COLUMNS = {"columns": True}  # a list of values, in memory a column for each of their fields
