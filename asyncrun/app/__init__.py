"""The composition root: the only package that knows all parts, and wires them."""
