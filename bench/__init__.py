"""Measurements that back what the documents promise."""
