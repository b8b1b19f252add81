"""The laboratory: living figures whose numbers are those of the book's own functions."""
