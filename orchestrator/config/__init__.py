"""matrix.yaml: text to a checked configuration, with every error at once."""
