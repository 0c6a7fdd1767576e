#!/bin/sh
echo "$(cat /venv/greeting) $1"
