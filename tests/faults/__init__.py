"""Drills: faults and hostile inputs on purpose, each as often as its row in docs/reliability.md says."""
