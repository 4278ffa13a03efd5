"""What the commands do, without the command line: up, down, roll, status."""
