"""The machinery: batches that move through composable stages; it knows no work order, no file, no database."""
