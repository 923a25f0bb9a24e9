"""The meters reader: photos of meters to readings, and each reading judged by the others of its meter."""
