"""Traces of a run: the nouns, where spans come from, how they are read, and where they go."""
