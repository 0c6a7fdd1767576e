mkdir -p in/d; echo x > in/d/f; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -cf in.tar d; rm -r in
