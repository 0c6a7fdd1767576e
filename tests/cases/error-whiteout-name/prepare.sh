mkdir dir; echo x > dir/.wh.victim
