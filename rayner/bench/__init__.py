"""How fast this is: the stages of a run timed against peers and against the cost model. Nothing here tags."""
