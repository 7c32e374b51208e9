"""AutoML-Zero: whole learning algorithms, evolved from mathematical operations."""
