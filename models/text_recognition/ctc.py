"""Greedy decoding of connectionist temporal classification (Graves et al., ICML 2006)."""

import numpy as np

BLANK = 0


def decode(probabilities: np.ndarray, characters: list[str]) -> list[tuple[str, float]]:
    """Read the likeliest path: repeats merged, blanks dropped.

    Args:
        probabilities: (N, T, C) float32, softmax over C classes, class 0 blank.
        characters: C strings, the first one for the blank.

    Returns:
        (text, confidence) a line; the confidence is the mean probability of the characters kept, 0 for no text.
    """
    best = probabilities.argmax(axis=2)
    starts = best != BLANK
    starts[:, 1:] &= best[:, 1:] != best[:, :-1]
    results = []
    for line, steps in enumerate(starts):
        classes = best[line, steps]
        text = "".join(characters[index] for index in classes)
        results.append((text, float(probabilities[line, steps, classes].mean()) if len(classes) else 0.0))
    return results
