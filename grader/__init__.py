"""Grade a student's DenseNet: read what it computes, measure what it reaches, say exactly why.

`import grader` stays cheap: no room imports tensorflow, keras, cv2 or docker at module level.
"""

__version__ = "0.1.0"
