sub/b.c
