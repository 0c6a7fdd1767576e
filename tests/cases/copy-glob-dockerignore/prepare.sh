echo a.txt > .dockerignore
