"""What deskew and orientation share: sources of upright pages, how pages are turned, metrics of angles."""
