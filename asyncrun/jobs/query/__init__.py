"""The kind `query`: questions in, one row with the best hits for each, and an answer where one is wanted."""
