"""A grade as a page: one file for each student, and one for the class."""
