head -c 100000 /dev/urandom > f; tar -czf whole.tar.gz f; head -c 50000 whole.tar.gz > cut.tar.gz; rm f whole.tar.gz
