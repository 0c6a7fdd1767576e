mkdir in; echo x > in/x; chmod 4755 in/x
tar -C in --mtime=@1500000000 --owner=0 --group=0 -cf in.tar x; rm -r in
