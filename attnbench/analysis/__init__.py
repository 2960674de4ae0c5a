"""What records mean: rows, speeds, verdicts, claims, differences; draws nothing."""
