"""The machine: what it is, what it does meanwhile, and the devices that it has."""
