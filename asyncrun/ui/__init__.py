"""What a person sees: bars, lines, tables; the only room that knows Rich."""
