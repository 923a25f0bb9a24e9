"""Stages: predictors hosted for pages. A stage changes pages in place; `base.run_stages` chains them, keeps errors as
values and takes the time. Nothing here knows Ray: the same stages run in Ray Data actors, in Serve and in a plain loop.
"""
