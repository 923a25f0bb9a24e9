"""Importers: labelled images of other tools, streamed into the layouts of `trainers.data.layouts`.

One module per format. It defines `IMPORTER` (see `importer.py`), whose `read` yields what the source holds (`rows.py`).
`run.py` checks, splits and writes the rows, the same way for all formats. Bad rows are yielded as `LeftOut`, never
raised. No charset and no network here. docs/extending.md shows how to add a format.
"""
