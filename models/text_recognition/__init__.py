"""Text recognition: line crops to characters. Cropping, width buckets and CTC decoding; no detection, no layout."""
