mkdir -p in/etc/passwd; echo x > in/etc/passwd/x; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -cf in.tar etc/passwd/x; rm -r in
