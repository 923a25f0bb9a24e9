"""Training of the networks that find text lines on a page."""
