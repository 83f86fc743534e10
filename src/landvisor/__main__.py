"""`python -m landvisor` is the command line."""

from landvisor.cli.main import main

if __name__ == "__main__":
    main()
