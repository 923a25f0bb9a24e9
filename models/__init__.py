"""Networks, predictors, the inference runtime and the packaged weights.

A predictor is preprocessing + network + postprocessing behind one call: a list of images in, a list of typed
results out. Nothing here knows Ray, files of a job, or training; only `network.py` files may import torch.
"""
