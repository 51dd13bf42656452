"""The service under test: the same on every base, whatever is installed beside it."""
