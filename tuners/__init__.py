"""Ray Tune: a sweep searches the settings of any training config, and its result is a config that `ocray train` takes.

A sweep is a folder, and its trials' folders are the ledger: what is done is read from them, nothing else is remembered.
Nothing here knows the pipelines.
"""
