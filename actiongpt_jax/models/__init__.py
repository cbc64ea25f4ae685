"""TEMOS, TEACH, MotionCLIP and the retrieval evaluator, as Linen modules."""
