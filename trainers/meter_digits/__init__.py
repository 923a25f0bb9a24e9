"""Training of the network that reads the digits of a display."""
