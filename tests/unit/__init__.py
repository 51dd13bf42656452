"""The fast tests: no process, no network, no engine."""
