"""What the pages say of what their runs found: sentences with numbers, a file for each chapter on images."""
