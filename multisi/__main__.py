"""`python -m multisi`."""

from multisi.cli import main

raise SystemExit(main())
