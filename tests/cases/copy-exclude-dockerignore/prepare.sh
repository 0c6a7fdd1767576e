echo b.txt > .dockerignore
