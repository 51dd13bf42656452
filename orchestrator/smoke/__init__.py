"""Smoke tests: a cell's image is started, confined, and must do what its checks ask."""
