#!/bin/sh
# fsrcnn-photo-mild-x3, fsrcnn-photo-strong-x3, and fsrcnn-photo-x3, which is their average.
set -eu
. "$(dirname "$0")/common.sh"

photo 3 40000 12000 0.5
