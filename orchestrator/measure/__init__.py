"""Pure: what builds and images say, turned into figures."""
