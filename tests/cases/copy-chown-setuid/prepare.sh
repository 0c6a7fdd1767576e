chmod 6755 f
