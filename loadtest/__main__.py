import sys

from gevent import monkey


def _main() -> int:
    # before anything else is imported: what was imported earlier would keep the blocking sockets
    monkey.patch_all()
    from loadtest.run import main

    # Locust's web page reads the command line as its own
    arguments, sys.argv[1:] = sys.argv[1:], []
    return main(arguments)


if __name__ == "__main__":
    sys.exit(_main())
