"""Views: pure functions from a trace to styled text of a given width; which colour a style gets is decided where it is shown."""
