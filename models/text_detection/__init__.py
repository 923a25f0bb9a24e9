"""Text detection: pages to text lines. DB probability maps (tiled for large pages) and their postprocessing; no
recognition, no reading order."""
