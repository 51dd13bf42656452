"""RunRecord to reports: pure, and all from the same table."""
