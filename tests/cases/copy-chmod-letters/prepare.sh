chmod 640 f; chmod 700 run
