"""Training of the network that finds the display in a photo of a meter."""
