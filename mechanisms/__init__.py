"""The built-in mechanisms, one file each. Files with a leading underscore hold moves that several share."""
