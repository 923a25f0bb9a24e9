"""Layout: from detected lines to the order in which a person reads them. Geometry only, no pixels and no networks."""
