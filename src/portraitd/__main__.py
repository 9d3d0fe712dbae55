"""`python -m portraitd`: the same as the installed command."""

from portraitd.cli import main

if __name__ == "__main__":
    main()
