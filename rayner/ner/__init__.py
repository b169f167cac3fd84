"""What an entity is: pure functions of plain values. Standard library and numpy only; no I/O, torch or ray."""
