"""Training of the networks that read text lines, and of the language model beside them."""
