"""Rules for stopping a trial early: curves in, a decision with its reason out. One file a rule."""
