"""`python -m multisi`."""

from multisi.cli.parser import main

raise SystemExit(main())
