"""Widgets of the notebooks: one class a file, each with traits that work without a browser."""
