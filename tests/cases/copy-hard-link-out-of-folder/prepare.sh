ln d/f other
