"""`python -m inrcodec` is the command `inrcodec`."""

from inrcodec.cli import main

main()
