"""Training of the network that finds by how much a page is skewed."""
