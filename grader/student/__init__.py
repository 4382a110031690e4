"""What runs on a student's machine: the template, the checks, training and packing."""
