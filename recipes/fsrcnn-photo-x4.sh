#!/bin/sh
# fsrcnn-photo-mild-x4, fsrcnn-photo-strong-x4, and fsrcnn-photo-x4, which is their average.
set -eu
. "$(dirname "$0")/common.sh"

photo 4 40000 12000 0.6
