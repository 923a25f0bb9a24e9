"""The digits of a meter, read from the strip of its display. `network.py` needs torch; reading does not."""
