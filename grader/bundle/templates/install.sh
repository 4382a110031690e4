#!/bin/sh
# Installs the grader, which lies beside this file, into a Python of its own.
set -eu
source=@source@
venv=@venv@

python=$(command -v python3.13 || command -v python3.12 || command -v python3.11 || true)
if [ -z "$python" ] || ! "$python" -c 'import ensurepip' 2>/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install -y --no-install-recommends python3.12 python3.12-venv ||
    apt-get install -y --no-install-recommends python3.11 python3.11-venv
  python=$(command -v python3.12 || command -v python3.11)
fi

# What the image has already is not installed a second time.
"$python" -m venv --system-site-packages "$venv"
# Python 3.11 lays an old setuptools into every new environment.
"$venv/bin/python" -m pip uninstall --quiet --disable-pip-version-check --yes setuptools
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  --require-hashes --only-binary :all: -r "$source/requirements.txt"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  --no-deps --no-index --force-reinstall "$source"/@wheel@
@fetch@
