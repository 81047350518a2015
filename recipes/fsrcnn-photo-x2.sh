#!/bin/sh
# fsrcnn-photo-mild-x2, fsrcnn-photo-strong-x2, and fsrcnn-photo-x2, which is their average.
set -eu
. "$(dirname "$0")/common.sh"

photo 2 80000 20000 0.45
