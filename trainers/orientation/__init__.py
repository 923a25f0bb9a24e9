"""Training of the network that finds by which quarter turn a page is turned."""
