"""Functions that are called: what is drawn for them, what they gave, how it differs.

Pure: numbers in, records out. Nothing here runs code of a student or of a course.
"""
