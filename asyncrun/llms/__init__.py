"""Chat models: messages in, a completion out."""
