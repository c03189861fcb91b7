"""What a work order is, and what a record of it means for a document: pure, no I/O, no clock."""
