"""Where work happens: the only package that imports Ray. It decides nothing about entities."""
