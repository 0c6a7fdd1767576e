chmod 640 a.txt
if [ "$(id -u)" = 0 ]; then chown 1234:1234 a.txt dir .; fi
