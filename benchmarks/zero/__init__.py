"""AutoML-Zero: how fast programs are evaluated, and what is found."""
