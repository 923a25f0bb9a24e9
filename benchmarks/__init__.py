"""Measurements that people run by hand; what they gave is written in docs/figures.md. No test asserts a time."""
