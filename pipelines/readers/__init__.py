"""Readers: what a job or a served app reads with. `base` defines a reader, `registry` finds one. Each folder is a
reader: its `reader.py` names all that belongs to it; beside it lie its record, its settings, its part of the report.

A record's module imports nothing that reads, since clients of the HTTP API need it too.
"""
