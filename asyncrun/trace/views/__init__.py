"""Views: pure functions from a trace to text of a given width, without colour."""
