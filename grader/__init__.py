"""Grade a student's DenseNet: read what it computes, measure what it reaches, say exactly why.

`import grader` stays cheap: no room imports tensorflow, keras, cv2 or docker at module level.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("densenet-grader")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0+unknown"
