"""A model file rewritten with other tensor types: which type for which tensor, and the rewrite itself."""
