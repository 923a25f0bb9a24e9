"""Commands submitted to a Ray cluster: what is shipped with them, and how they are followed."""
