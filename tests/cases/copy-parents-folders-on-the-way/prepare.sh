chmod 2750 a; chmod 1777 a/b; touch -d @1600000000 a/b/f a/b a
