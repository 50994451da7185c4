"""Properties of the library's modules, and what proves them."""
