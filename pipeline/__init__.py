"""Two-way work-order sync as a dataflow of composable async streams."""
