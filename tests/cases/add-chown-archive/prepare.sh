mkdir -p in/d; echo x > in/d/x; ln -s x in/d/l
tar -C in --sort=name --mtime=@1500000000 --owner=3 --group=4 -cf in.tar d; rm -r in
