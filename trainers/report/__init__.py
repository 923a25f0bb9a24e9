"""Pages for people: what an evaluation found, sample by sample. Single HTML files that need no network, in Korean and
English, for light and dark screens. `page.py` is their common frame, also of the pages that `ray_apps` makes. No torch.
"""
