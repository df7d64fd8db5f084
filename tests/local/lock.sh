#!/bin/sh
# Remakes the development lock with pip-compile, which gets an environment of its own for it.
# What is locked already stays, unless an input asks for another version; UPGRADE=1 takes the newest of everything.
set -eu

.venv/bin/python -m venv .cache/pip-tools
.cache/pip-tools/bin/python -m pip install --quiet --disable-pip-version-check 'pip-tools==7.6.2'
.cache/pip-tools/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras ${UPGRADE:+--upgrade} \
    --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
    --output-file requirements-dev.txt requirements-dev.in
