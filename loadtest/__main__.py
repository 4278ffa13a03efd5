import sys

from gevent import monkey


def _main() -> int:
    # before anything else is imported: what was imported earlier would keep the blocking sockets
    monkey.patch_all()
    from loadtest.run import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_main())
