mkdir -p in/l; echo x > in/l/f; ln in/l/f in/g; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -cf in.tar l/f g; tar --delete -f in.tar l/f; rm -r in
