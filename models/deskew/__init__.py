"""Skew of text lines from the page's Fourier spectrum.

`preprocess.py` turns a page into a polar log power spectrum (numpy and OpenCV, shared by training and reading),
`network.py` is the torch network, `predictor.py` reads pages with an exported bundle and needs no torch.
"""
