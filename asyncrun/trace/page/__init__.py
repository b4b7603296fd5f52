"""The page of a run: one document of everything that it shows, and the text that shows it in a browser."""
