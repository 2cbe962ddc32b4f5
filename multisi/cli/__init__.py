"""The command line."""

from multisi.cli.parser import main as main
