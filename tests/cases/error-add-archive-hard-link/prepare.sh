mkdir in; echo x > in/a; ln in/a in/b; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -cf in.tar a b; tar --delete -f in.tar a; rm -r in
