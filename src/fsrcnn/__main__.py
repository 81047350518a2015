"""`python -m fsrcnn`."""

from fsrcnn.cli import main

main()
