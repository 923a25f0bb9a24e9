"""The doors: Ray jobs, Serve apps and the command line that people start. Thin; one file a door."""
