"""Evidence for the paper's mathematics, computed at once: a function a claim, with one value for every seed."""
