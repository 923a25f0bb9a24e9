"""The documents reader: pages of text, whatever way they are turned."""
