"""The grader on platforms that already run graders: what each is given, and what runs there.

`grade bundle PLATFORM DIR` writes the one, on an instructor's machine; `python -m grader.bundle
PLATFORM ASSIGNMENT` is the other. There the scripts of a platform do no more than call it: it
finds the submission where the platform puts it, grades as `grade` does, and gives the grade in the
platform's words.
"""
