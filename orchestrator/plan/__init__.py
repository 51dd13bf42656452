"""MatrixFile to Plan: pure, deterministic, printable."""
