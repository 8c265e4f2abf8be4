"""Studies of tpeak and of Optuna behind one face, and the comparison of what they found."""
