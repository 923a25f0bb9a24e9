"""Networks, predictors, the inference runtime and the packaged weights.

A predictor is preprocessing + network + postprocessing behind one call: a list of images in, a list of typed
results out. Each model has a folder: `predictor.py` with the results it returns, `preprocess.py` with what makes the
network's input, `network.py` or `networks/`. Nothing here knows Ray, files of a job, or training; only networks may
import torch.

In all results angles are in degrees, counter-clockwise positive as the page is seen (y axis up). Polygons are float32
arrays of shape (4, 2), x then y in pixels of the image the predictor was given, clockwise from the text's own top-left
corner. Confidences lie in 0..1.
"""
