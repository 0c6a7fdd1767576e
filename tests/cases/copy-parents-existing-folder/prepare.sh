chmod 2755 a
