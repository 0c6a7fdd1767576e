"""Greets everybody who is named."""

import sys

import six


def main():
    for name in sys.argv[1:]:
        print(f"Hello, {six.ensure_text(name)}, from Python on {sys.platform}")


if __name__ == "__main__":
    main()
