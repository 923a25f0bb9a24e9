"""The display of a meter, found in a photo. `network.py` needs torch; reading does not."""
