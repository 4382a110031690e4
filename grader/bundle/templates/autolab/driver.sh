#!/bin/sh
# The autograder: its last line has the scores.
export PATH="/opt/densenet-grader/venv/bin:$PATH" KERAS_HOME=/opt/densenet-grader/keras
@grade@ autolab densenet-grader/assignment@options@ && exit 0
# Without scores Autolab gives a 0 for every problem, released. With these it leaves them open.
echo '{"scores": {"@lateness@": 0.0}}'
