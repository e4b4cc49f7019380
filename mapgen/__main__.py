"""`python -m mapgen`."""

from mapgen.cli.main import main

main()
