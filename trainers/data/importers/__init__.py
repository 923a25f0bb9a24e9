"""Importers: labelled text images of other tools, streamed into the two layouts of `trainers.data.layouts`.

One format a module, each with a function `read` that yields what it finds (`rows.py`); `run.py` checks, divides and
writes it, the same for all. Bad rows are yielded as `LeftOut`, never raised. No charset and no network here.
"""
