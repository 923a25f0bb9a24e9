"""Training: one plain torch loop, one task per model, data and renderers, evaluation and export.

`loop.py` runs without Ray; `launch.py` hosts it under Ray Train. Nothing here knows the pipelines.
"""
