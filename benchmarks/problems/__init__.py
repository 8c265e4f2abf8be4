"""Functions to minimize, in families: what the samplers are compared on."""
