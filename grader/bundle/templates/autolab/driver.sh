#!/bin/sh
# The autograder: its last line on standard output has the scores.
export PATH="/opt/densenet-grader/venv/bin:$PATH" KERAS_HOME=/opt/densenet-grader/keras
exec @grade@ autolab densenet-grader/assignment@options@
