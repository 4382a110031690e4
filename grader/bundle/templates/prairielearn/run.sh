#!/bin/sh
# Run by PrairieLearn for each submission, as the container's entry point.
exec @grade@ prairielearn /grade/tests/assignment@options@
