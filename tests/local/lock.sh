#!/bin/sh
# Remakes both locks with pip-compile, which gets an environment of its own for it: requirements.txt, which a deployment
# installs, and requirements-dev.txt, which holds the same bytes of it and what development needs besides.
# What is locked already stays, unless an input asks for another version; UPGRADE=1 takes the newest of everything.
set -eu

.venv/bin/python -m venv .cache/pip-tools
.cache/pip-tools/bin/python -m pip install --quiet --disable-pip-version-check 'pip-tools==7.6.2'

lock() {
    .cache/pip-tools/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras ${UPGRADE:+--upgrade} \
        --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
        --output-file "$1" "$2"
}

lock requirements.txt requirements.in
lock requirements-dev.txt requirements-dev.in
