#!/bin/sh
echo "quickstart: $GREETING, run by uid $(id -u)"
