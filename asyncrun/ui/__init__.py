"""What a person sees: bars, lines, tables; the only package that knows Rich."""
