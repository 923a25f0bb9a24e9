"""Where samples come from: sources of pages, and feeds that turn a task's samples into batches. No networks here."""
