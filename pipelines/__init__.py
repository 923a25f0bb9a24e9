"""Bulk reading on Ray Data: sources -> stages -> sink, the records, resume, exports and reports.

Stages wrap the predictors of `models/` for batches of pages. No training code and no torch here.
"""
