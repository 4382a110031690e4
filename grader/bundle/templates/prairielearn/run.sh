#!/bin/sh
# Run by PrairieLearn for each submission, as the container's entry point. Another exit status than
# 0 would be a 0 for the student; what is no grade stands in results.json.
@grade@ prairielearn /grade/tests/assignment@options@ || true
