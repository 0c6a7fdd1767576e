mkdir in; echo x > in/x.md
tar -C in --mtime=@1500000000 --owner=0 --group=0 -cf in.tar x.md; rm -r in
