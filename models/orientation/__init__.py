"""Which way is up: the quarter turn of a page whose text lines are already level.

`preprocess.py` makes the grey, contrast-normalised page that training and reading share, `network.py` holds the torch
networks, `predictor.py` reads pages with an exported bundle and needs no torch.
"""
