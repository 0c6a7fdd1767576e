chmod 1770 d; chmod 2750 d/sub
