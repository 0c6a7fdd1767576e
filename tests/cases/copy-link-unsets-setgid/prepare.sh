chmod 3777 d d/sub
