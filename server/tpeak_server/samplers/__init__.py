"""Ways to choose the next points: arrays in, arrays out; no IO, no clock, no global randomness."""
