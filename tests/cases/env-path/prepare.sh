chmod 755 greet
