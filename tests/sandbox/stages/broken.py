"""A test stage whose own libraries do not load."""

import a_library_that_is_not_here  # noqa: F401
